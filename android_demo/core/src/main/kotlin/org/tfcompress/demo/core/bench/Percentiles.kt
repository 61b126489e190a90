package org.tfcompress.demo.core.bench

/** Nearest-rank percentiles: the value of rank ceil(percent * n / 100), ranks from 1, in integers. */
object Percentiles {
    /** One of [values]; [percent] is 0..100, 0 gives the smallest. */
    fun nearestRank(values: DoubleArray, percent: Int): Double {
        require(values.isNotEmpty()) { "percentile: no values" }
        require(percent in 0..100) { "percentile: percent must be in 0..100. Received: percent=$percent" }
        val rank = maxOf(1L, (percent.toLong() * values.size + 99) / 100)
        return values.sortedArray()[(rank - 1).toInt()]
    }
}
