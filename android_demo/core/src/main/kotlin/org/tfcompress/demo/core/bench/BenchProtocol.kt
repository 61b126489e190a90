package org.tfcompress.demo.core.bench

/** The three ready-made lengths; numbers of `benchmark_model` and of MLPerf's mobile app. */
enum class BenchMode(val id: String, val runs: Int, val minSeconds: Double) {
    QUICK("quick", 50, 1.0),
    STANDARD("standard", 128, 10.0),
    THOROUGH("thorough", 1024, 60.0);

    /** Whether each model runs long enough for the counters of a battery. */
    val measuresEnergy: Boolean get() = minSeconds >= BatteryMeter.LEAST_SECONDS
}

/** When a loop of runs ends: `while (done < runs or now < min) and now <= max`, as in `benchmark_model`. */
data class LoopRule(val runs: Int, val minSeconds: Double, val maxSeconds: Double) {
    init {
        require(runs >= 0 && minSeconds >= 0 && maxSeconds >= 0) {
            "a loop needs figures of 0 or more. Received: $this"
        }
    }

    /** Whether another run starts after [done] runs that took [seconds]. */
    fun wantsMore(done: Int, seconds: Double): Boolean = (done < runs || seconds < minSeconds) && seconds <= maxSeconds

    /** What block number [block] (from 0) of [blocks] has to reach; the last part is the rule itself. */
    fun part(block: Int, blocks: Int): LoopRule {
        val runs = (runs.toLong() * (block + 1) + blocks - 1) / blocks
        return LoopRule(runs.toInt(), minSeconds * (block + 1) / blocks, maxSeconds)
    }
}

/** All figures of one benchmark, named as in the report. */
data class BenchProtocol(
    val mode: BenchMode,
    val maxSeconds: Double = 150.0,
    val warmupRuns: Int = 10,
    val warmupSeconds: Double = 0.5,
    val blocks: Int = 5,
    val pauseSeconds: Double = 0.05
) {
    init {
        require(blocks >= 1 && warmupRuns >= 1 && pauseSeconds >= 0) { "out of range. Received: $this" }
    }

    val timed: LoopRule get() = LoopRule(mode.runs, mode.minSeconds, maxSeconds)
    val warmup: LoopRule get() = LoopRule(warmupRuns, warmupSeconds, maxSeconds)
}
