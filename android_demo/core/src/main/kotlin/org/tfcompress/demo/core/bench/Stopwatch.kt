package org.tfcompress.demo.core.bench

import java.nio.ByteBuffer
import org.tfcompress.demo.core.engine.InferenceEngine
import org.tfcompress.demo.core.run.Clock

/** Times of one model's runs over several blocks; time that other models take does not count. */
internal class Stopwatch(
    private val engine: InferenceEngine,
    private val input: ByteBuffer,
    private val clock: Clock,
    private val stop: () -> Boolean
) {
    private val runs = ArrayList<Long>()
    private var copyNanos = 0L
    private var ownNanos = 0L

    val count: Int get() = runs.size

    /** Each run in microseconds, in order. */
    val runMicros: DoubleArray get() = DoubleArray(runs.size) { runs[it] / NANOS_PER_MICRO }

    /** Mean time of copying the input in, which is not part of a run. */
    val copyMicros: Double get() = copyNanos / NANOS_PER_MICRO / runs.size

    /** Time of the runs, copying in included. */
    val seconds: Double get() = ownNanos / NANOS_PER_SECOND

    /** Runs until [rule] holds for all runs so far, or the benchmark is stopped. */
    fun loop(rule: LoopRule) {
        val begin = clock.nanos() - ownNanos
        while (!stop() && rule.wantsMore(runs.size, seconds)) {
            val start = clock.nanos()
            engine.write(input)
            val copied = clock.nanos()
            engine.run()
            val end = clock.nanos()
            runs.add(end - copied)
            copyNanos += copied - start
            ownNanos = end - begin
        }
    }

    private companion object {
        const val NANOS_PER_MICRO = 1e3
        const val NANOS_PER_SECOND = 1e9
    }
}
