package org.tfcompress.demo.core.image

/**
 * Brings any drawing into the form of MNIST: the ink's box scaled to 20 pixels, stretched to full
 * contrast if it is faint, its centre of mass next to the middle of pixel (14, 14) of 28 x 28. All
 * in integers, so that every device and the Python package give the same bytes.
 */
object MnistCentering {
    const val SIZE = 28
    private const val BOX = 20
    private const val FULL = 255L
    private const val FAINT = 192L

    fun center(image: GrayImage): GrayImage {
        val result = GrayImage(SIZE, SIZE)
        val box = inkBox(image) ?: return result
        val small = stretched(scaled(image, box))
        paste(small, box, result)
        return result
    }

    /** Where the ink is in the drawing, and the size it gets. */
    private class Box(val left: Int, val top: Int, val width: Int, val height: Int) {
        private val most = maxOf(width, height)
        val newWidth = target(width)
        val newHeight = target(height)

        private fun target(size: Int) = maxOf(1, ((2L * BOX * size + most) / (2L * most)).toInt())
    }

    private fun inkBox(image: GrayImage): Box? {
        val columns = (0 until image.width).filter { x -> (0 until image.height).any { y -> image[x, y] > 0 } }
        val rows = (0 until image.height).filter { y -> (0 until image.width).any { x -> image[x, y] > 0 } }
        if (columns.isEmpty()) return null
        val width = columns.last() - columns.first() + 1
        return Box(columns.first(), rows.first(), width, rows.last() - rows.first() + 1)
    }

    /** Area average: each source pixel counts by how much of it falls into the target pixel. */
    private fun scaled(image: GrayImage, box: Box): LongArray {
        val across = weights(box.width, box.newWidth)
        val down = weights(box.height, box.newHeight)
        val area = box.width.toLong() * box.height
        return LongArray(box.newWidth * box.newHeight) { at ->
            var sum = 0L
            for ((row, rowWeight) in down[at / box.newWidth]) {
                for ((column, weight) in across[at % box.newWidth]) {
                    sum += image[box.left + column, box.top + row] * rowWeight * weight
                }
            }
            (2 * sum + area) / (2 * area)
        }
    }

    private class Weight(val source: Int, val overlap: Long) {
        operator fun component1() = source
        operator fun component2() = overlap
    }

    /** For each of [to] target pixels, the sources of [from] that it overlaps, and by how much. */
    private fun weights(from: Int, to: Int): List<List<Weight>> = List(to) { target ->
        val begin = target.toLong() * from
        val end = begin + from
        val first = (begin / to).toInt()
        val last = ((end - 1) / to).toInt()
        (first..last).map { source ->
            val start = source.toLong() * to
            Weight(source, minOf(end, start + to) - maxOf(begin, start))
        }
    }

    private fun stretched(values: LongArray): LongArray {
        val most = values.max()
        if (most == 0L || most >= FAINT) return values
        return LongArray(values.size) { (2 * FULL * values[it] + most) / (2 * most) }
    }

    private fun paste(values: LongArray, box: Box, into: GrayImage) {
        val total = values.sum()
        if (total == 0L) return
        val sumX = values.indices.sumOf { values[it] * (2 * (it % box.newWidth) + 1) }
        val sumY = values.indices.sumOf { values[it] * (2 * (it / box.newWidth) + 1) }
        val left = place(total, sumX).coerceIn(0, SIZE - box.newWidth)
        val top = place(total, sumY).coerceIn(0, SIZE - box.newHeight)
        for (at in values.indices) {
            into[left + at % box.newWidth, top + at / box.newWidth] = values[at].toInt()
        }
    }

    /** Offset that puts the centre of mass, `sum / (2 total)`, next to 14 1/2. */
    private fun place(total: Long, sum: Long): Int = Math.floorDiv((SIZE + 2) * total - sum, 2 * total).toInt()
}
