package org.tfcompress.demo.core.monitor

/**
 * Counts of values between ascending [edges]: bin i holds `edges[i] <= value < edges[i + 1]`. A
 * closed one includes its last edge; an open one has one more bin for all from the last edge on.
 */
class Histogram(private val edges: List<Double>, private val open: Boolean) {
    /** One count per bin. */
    val bins: Int = edges.size - (if (open) 0 else 1)

    init {
        require(edges.size >= 2 && edges.zipWithNext().all { (a, b) -> a < b }) {
            "a histogram needs two edges or more, ascending. Received: $edges"
        }
    }

    /** The bin of a value, or null if it lies outside of all. */
    fun bin(value: Double): Int? {
        val at = edges.indexOfLast { it <= value }
        return when {
            value.isNaN() || at < 0 -> null
            open || at < edges.size - 1 -> at
            value == edges.last() -> at - 1
            else -> null
        }
    }

    /** Counts of many values; one that lies outside is refused. */
    fun count(values: DoubleArray): LongArray {
        val counts = LongArray(bins)
        for (value in values) {
            counts[requireNotNull(bin(value)) { "outside of the histogram $edges. Received: $value" }]++
        }
        return counts
    }
}
