package org.tfcompress.demo.core.bench

import java.nio.ByteBuffer
import org.tfcompress.demo.core.engine.EngineInfo
import org.tfcompress.demo.core.engine.InferenceEngine
import org.tfcompress.demo.core.manifest.FileDigest
import org.tfcompress.demo.core.run.Clock

/** A model to be timed: [open] makes a fresh engine, [input] is its golden input, [plain] what the runtime gets. */
class BenchSubject(
    val name: String,
    val plain: FileDigest,
    val input: ByteBuffer,
    val open: () -> InferenceEngine
)

/** What the benchmark needs from the device. */
interface BenchHost {
    val clock: Clock

    /** Bytes of the native heap in use, or null where that can't be told. */
    fun nativeHeapBytes(): Long?

    /** What the battery says now, or null where the device tells nothing. */
    fun battery(): BatteryReading?

    fun pause(seconds: Double)

    /** Polled between runs. */
    fun stopped(): Boolean

    /** Called at each step: [block] of [blocks] counts from 1; 0 while models are opened and warmed up. */
    fun progress(name: String, block: Int, blocks: Int)
}

/** The figures of one model. */
class BenchResult(
    val name: String,
    val plain: FileDigest,
    val info: EngineInfo,
    val firstUs: Double,
    val warmupRuns: Int,
    val warmupMeanUs: Double,
    val latency: LatencyStats,
    val copyInUs: Double,
    val nativeHeapBytes: Long?,
    val energy: BatteryEnergy
)

/** A whole benchmark: results in the order given, and the order in which timed blocks ran. */
class BenchRun(val protocol: BenchProtocol, val order: List<String>, val results: List<BenchResult>)

/**
 * The protocol of the Python package: all models opened and warmed up, then run in turn in blocks
 * (A B C, B C A, ...), so that a phone that grows hot slows all of them.
 */
class BenchRunner(private val host: BenchHost) {
    private class Entrant(val subject: BenchSubject, val engine: InferenceEngine, val heap: Long?, host: BenchHost) {
        val warmup = Stopwatch(engine, subject.input, host.clock) { host.stopped() }
        val timed = Stopwatch(engine, subject.input, host.clock) { host.stopped() }
        val battery = BatteryMeter()
    }

    /** Null if it was stopped before every model had run in every block; what an engine throws goes on. */
    fun run(subjects: List<BenchSubject>, protocol: BenchProtocol): BenchRun? {
        require(subjects.isNotEmpty()) { "a benchmark needs one model or more" }
        require(subjects.map { it.name }.distinct().size == subjects.size) { "names must be unique" }
        val entrants = ArrayList<Entrant>()
        try {
            // The first opening of a process pays for the runtime library itself.
            subjects.first().open().close()
            for (subject in subjects) entrants.add(enter(subject, protocol))
            val order = interleave(entrants, protocol)
            return if (host.stopped()) null else BenchRun(protocol, order, entrants.map(::result))
        } finally {
            entrants.forEach { it.engine.close() }
        }
    }

    private fun enter(subject: BenchSubject, protocol: BenchProtocol): Entrant {
        host.progress(subject.name, 0, protocol.blocks)
        val before = host.nativeHeapBytes()
        val engine = subject.open()
        val after = host.nativeHeapBytes()
        val entrant = Entrant(subject, engine, if (before == null || after == null) null else after - before, host)
        entrant.warmup.loop(protocol.warmup)
        return entrant
    }

    /** Each round begins with another model, so none always follows the same pause. */
    private fun interleave(entrants: List<Entrant>, protocol: BenchProtocol): List<String> {
        val order = ArrayList<String>()
        for (block in 0 until protocol.blocks) {
            val rule = protocol.timed.part(block, protocol.blocks)
            val first = block % entrants.size
            for (entrant in entrants.drop(first) + entrants.take(first)) {
                if (host.stopped()) return order
                host.progress(entrant.subject.name, block + 1, protocol.blocks)
                host.pause(protocol.pauseSeconds)
                if (block(entrant, rule)) order.add(entrant.subject.name)
            }
        }
        return order
    }

    /** Whether at least one run was due. */
    private fun block(entrant: Entrant, rule: LoopRule): Boolean {
        val timed = entrant.timed
        val count = timed.count
        val seconds = timed.seconds
        val battery = host.battery()
        timed.loop(rule)
        if (timed.count == count) return false
        entrant.battery.add(battery, host.battery(), timed.seconds - seconds)
        return true
    }

    private fun result(entrant: Entrant): BenchResult {
        val warm = entrant.warmup.runMicros
        return BenchResult(
            name = entrant.subject.name,
            plain = entrant.subject.plain,
            info = entrant.engine.info,
            firstUs = warm.first(),
            warmupRuns = warm.size,
            warmupMeanUs = warm.average(),
            latency = LatencyStats.of(entrant.timed.runMicros),
            copyInUs = entrant.timed.copyMicros,
            nativeHeapBytes = entrant.heap,
            energy = entrant.battery.perRun(entrant.timed.count)
        )
    }
}
