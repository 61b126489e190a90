package org.tfcompress.demo.core.bench

import kotlin.math.sqrt

/** Summary of run times in microseconds, as in the report; [stdUs] is of the population. */
class LatencyStats(
    val n: Int,
    val meanUs: Double,
    val stdUs: Double,
    val minUs: Double,
    val maxUs: Double,
    val p50Us: Double,
    val p90Us: Double,
    val p95Us: Double,
    val p99Us: Double
) {
    companion object {
        /** Of one value or more. */
        fun of(micros: DoubleArray): LatencyStats {
            require(micros.isNotEmpty()) { "statistics: no values" }
            val mean = micros.sum() / micros.size
            return LatencyStats(
                n = micros.size,
                meanUs = mean,
                stdUs = sqrt(micros.sumOf { (it - mean) * (it - mean) } / micros.size),
                minUs = micros.min(),
                maxUs = micros.max(),
                p50Us = Percentiles.nearestRank(micros, 50),
                p90Us = Percentiles.nearestRank(micros, 90),
                p95Us = Percentiles.nearestRank(micros, 95),
                p99Us = Percentiles.nearestRank(micros, 99)
            )
        }
    }
}
