package org.tfcompress.demo.core.image

import kotlin.math.ceil
import kotlin.math.floor
import kotlin.math.max
import kotlin.math.min
import kotlin.math.sqrt

/**
 * Draws strokes as round-capped lines with soft edges. The picture is finer than the model's input;
 * [MnistCentering] brings it down. [radius] is in pixels.
 */
class InkRasterizer(private val size: Int = 112, private val radius: Float = 5f) {
    fun rasterize(strokes: List<Stroke>): GrayImage {
        val image = GrayImage(size, size)
        for (stroke in strokes) {
            val p = stroke.points
            if (p.size == 2) line(image, p[0], p[1], p[0], p[1])
            for (i in 0 until p.size / 2 - 1) line(image, p[2 * i], p[2 * i + 1], p[2 * i + 2], p[2 * i + 3])
        }
        return image
    }

    private fun line(image: GrayImage, ux0: Float, uy0: Float, ux1: Float, uy1: Float) {
        val x0 = ux0 * size
        val y0 = uy0 * size
        val dx = ux1 * size - x0
        val dy = uy1 * size - y0
        val length2 = dx * dx + dy * dy
        for (y in reach(y0, y0 + dy)) {
            for (x in reach(x0, x0 + dx)) {
                val px = x + 0.5f - x0
                val py = y + 0.5f - y0
                val t = if (length2 == 0f) 0f else ((px * dx + py * dy) / length2).coerceIn(0f, 1f)
                val ex = px - t * dx
                val ey = py - t * dy
                val ink = (radius + 0.5f - sqrt(ex * ex + ey * ey)).coerceIn(0f, 1f)
                val level = (ink * FULL + 0.5f).toInt()
                if (level > image[x, y]) image[x, y] = level
            }
        }
    }

    /** Columns or rows that a line between the two coordinates can touch. */
    private fun reach(a: Float, b: Float): IntRange {
        val first = max(0, floor(min(a, b) - radius - 1).toInt())
        val last = min(size - 1, ceil(max(a, b) + radius + 1).toInt())
        return first..last
    }

    private companion object {
        const val FULL = 255
    }
}
