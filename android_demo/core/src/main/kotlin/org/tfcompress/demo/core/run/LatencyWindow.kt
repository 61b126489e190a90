package org.tfcompress.demo.core.run

import java.util.ArrayDeque
import org.tfcompress.demo.core.bench.Percentiles

/** The last few latencies of a variant, of which the median is shown: one slow run does not show. */
class LatencyWindow(private val capacity: Int = 9) {
    private val values = ArrayDeque<Double>()

    init {
        require(capacity >= 1) { "capacity must be 1 or more. Received: capacity=$capacity" }
    }

    fun add(micros: Double) {
        if (values.size == capacity) values.removeFirst()
        values.addLast(micros)
    }

    /** Null before the first run. */
    val medianMicros: Double?
        get() = if (values.isEmpty()) null else Percentiles.nearestRank(values.toDoubleArray(), 50)
}
