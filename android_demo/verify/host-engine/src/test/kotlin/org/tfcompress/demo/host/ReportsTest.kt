package org.tfcompress.demo.host

import java.io.File
import java.time.LocalDate
import java.time.ZoneOffset
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.tfcompress.demo.core.bench.BatteryReading
import org.tfcompress.demo.core.bench.BenchHost
import org.tfcompress.demo.core.bench.BenchMode
import org.tfcompress.demo.core.bench.BenchProtocol
import org.tfcompress.demo.core.bench.BenchReport
import org.tfcompress.demo.core.bench.BenchRunner
import org.tfcompress.demo.core.bench.BenchSubject
import org.tfcompress.demo.core.bench.Condition
import org.tfcompress.demo.core.bench.Device
import org.tfcompress.demo.core.bench.Generator
import org.tfcompress.demo.core.bench.Thermal
import org.tfcompress.demo.core.engine.EngineCache
import org.tfcompress.demo.core.engine.EngineConfig
import org.tfcompress.demo.core.monitor.MonitorLog
import org.tfcompress.demo.core.monitor.MonitorOrigin
import org.tfcompress.demo.core.run.Clock
import org.tfcompress.demo.core.run.Outcome
import org.tfcompress.demo.core.run.SampleTrial
import org.tfcompress.demo.core.run.Samples
import org.tfcompress.demo.core.run.SelfTest
import org.tfcompress.demo.core.run.VariantRunner

/** A real benchmark and a real log of the bundled models; the stage gives both files to Python's readers. */
class ReportsTest {
    private val config = EngineConfig()
    private val samples = Samples.read(Bundle.manifest, Bundle.side)
    private val generator = Generator("0.1.0", Bundle.trusted.sha256)
    private val device = Device("Java host", null, System.getProperty("os.name"), 36, System.getProperty("os.arch"), 2)

    private fun runner(cache: EngineCache) =
        VariantRunner(Bundle.library, Bundle.opener, cache, Clock(System::nanoTime))

    private fun write(name: String, text: String) = File(Bundle.parity, name).writeText(text)

    @Test
    fun `a benchmark of all variants`() {
        val subjects = Bundle.manifest.models.map { entry ->
            BenchSubject(entry.id, entry.plain, SelfTest(Bundle.side).input(entry, 0)) { Bundle.open(entry) }
        }
        val protocol = BenchProtocol(BenchMode.QUICK, warmupSeconds = 0.05, maxSeconds = 0.2, pauseSeconds = 0.0)
        val run = checkNotNull(BenchRunner(Host).run(subjects, protocol))
        val scores = EngineCache(8).use { SampleTrial(Bundle.library, runner(it)).run(samples, config) }
        val cool = Condition(Thermal.NONE, false)
        val report = BenchReport(
            "2026-05-04T03:02:01Z", generator, device, Bundle.factory.runtime, cool, cool, run,
            samples.items.size, scores
        )
        write("bench.json", report.toJson())
        assertEquals(Bundle.manifest.models.map { it.id }, run.results.map { it.name })
        assertTrue(run.results.all { it.latency.p50Us > 0 && (scores.top1(it.name) ?: 0.0) > 0.5 })
    }

    @Test
    fun `a log of all variants on all samples`() {
        val log = MonitorLog(Bundle.manifest)
        val day = LocalDate.now(ZoneOffset.UTC).toString()
        EngineCache(8).use { cache ->
            val runner = runner(cache)
            for (sample in samples.items) {
                val answered = runner.run(sample.image, config).map { it as Outcome.Answered }
                answered.forEach { log.record(day, it.entry, it.prediction, it.micros) }
            }
        }
        val origin = MonitorOrigin(generator, device, Bundle.factory.runtime)
        write("monitor.json", log.toJson("2026-05-04T03:02:01Z", origin))
        assertEquals(samples.items.size.toLong() * Bundle.manifest.models.size, log.count)
    }

    private object Host : BenchHost {
        override val clock = Clock(System::nanoTime)

        override fun nativeHeapBytes(): Long? = null

        override fun battery(): BatteryReading? = null

        override fun pause(seconds: Double) = Thread.sleep((seconds * 1000).toLong())

        override fun stopped() = false

        override fun progress(name: String, block: Int, blocks: Int) = Unit
    }
}
