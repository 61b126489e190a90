package org.tfcompress.demo.core.image

/** One stroke of the pen: x0, y0, x1, y1, ... in the unit square, y downwards. */
class Stroke(val points: FloatArray) {
    init {
        require(points.isNotEmpty() && points.size % 2 == 0) {
            "a stroke is x, y pairs, one or more. Received: ${points.size} numbers"
        }
        require(points.all { it.isFinite() }) { "coordinates must be finite" }
    }
}

/** A drawing, with undo. Strokes survive rotation as the arrays of [save]. */
class Ink(strokes: List<Stroke> = emptyList()) {
    private val strokes = ArrayList(strokes)
    private val undone = ArrayList<List<Stroke>>()

    val isEmpty: Boolean get() = strokes.isEmpty()
    val canUndo: Boolean get() = strokes.isNotEmpty() || undone.isNotEmpty()

    fun strokes(): List<Stroke> = strokes.toList()

    fun add(stroke: Stroke) {
        strokes.add(stroke)
        undone.clear()
    }

    /** Takes the last stroke away; right after [clear] it brings the drawing back. */
    fun undo() {
        if (strokes.isEmpty()) {
            undone.removeLastOrNull()?.let(strokes::addAll)
        } else {
            strokes.removeAt(strokes.lastIndex)
        }
    }

    fun clear() {
        if (strokes.isEmpty()) return
        undone.clear()
        undone.add(strokes.toList())
        strokes.clear()
    }

    /** One array: for each stroke its number of coordinates and the coordinates. */
    fun save(): FloatArray = strokes.flatMap { listOf(it.points.size.toFloat()) + it.points.asList() }.toFloatArray()

    companion object {
        /** The drawing that [save] gave; a damaged array gives the strokes before the damage. */
        fun restore(saved: FloatArray): Ink {
            val strokes = ArrayList<Stroke>()
            var at = 0
            while (at < saved.size) {
                val size = saved[at].toInt()
                val points = saved.copyOfRange(at + 1, Math.max(at + 1, Math.min(saved.size, at + 1 + size)))
                val whole = size >= 2 && size % 2 == 0 && points.size == size
                if (!whole || points.any { !it.isFinite() }) break
                strokes.add(Stroke(points))
                at += 1 + size
            }
            return Ink(strokes)
        }
    }
}
