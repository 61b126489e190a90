package org.tfcompress.demo.work

import android.os.Debug
import java.time.temporal.ChronoUnit
import java.util.concurrent.atomic.AtomicBoolean
import org.tfcompress.demo.Parts
import org.tfcompress.demo.core.bench.BatteryReading
import org.tfcompress.demo.core.bench.BenchHost
import org.tfcompress.demo.core.bench.BenchMode
import org.tfcompress.demo.core.bench.BenchProtocol
import org.tfcompress.demo.core.bench.BenchReport
import org.tfcompress.demo.core.bench.BenchRunner
import org.tfcompress.demo.core.bench.BenchSubject
import org.tfcompress.demo.core.bench.Generator
import org.tfcompress.demo.core.engine.EngineConfig
import org.tfcompress.demo.core.engine.EngineException
import org.tfcompress.demo.core.run.Samples
import org.tfcompress.demo.core.run.UnavailableException
import org.tfcompress.demo.core.run.VariantState
import org.tfcompress.demo.core.security.SideFileException
import org.tfcompress.demo.data.Phone
import org.tfcompress.demo.data.SettingsStore

/** Where the benchmark stands. */
sealed interface BenchState {
    /** Nothing was measured in this process. */
    data object Idle : BenchState

    /** [model] is being timed; [fraction] (0..1) of the blocks is done. */
    data class Running(val model: String, val fraction: Double) : BenchState

    class Done(val report: BenchReport) : BenchState

    data object Stopped : BenchState

    data class Failed(val state: VariantState) : BenchState
}

/** The benchmark of the process: goes on while the screen turns, holds the last result. */
class Benchmark(
    private val gallery: Gallery,
    private val thread: ModelThread,
    private val settings: SettingsStore,
    private val phone: Phone,
    private val parts: Parts
) {
    private val stop = AtomicBoolean()
    val state = Live<BenchState>(BenchState.Idle)

    /** Measures the models named; does nothing while another run goes on. */
    fun start(models: List<String>, mode: BenchMode) {
        if (state.value is BenchState.Running || models.isEmpty()) return
        stop.set(false)
        state.value = BenchState.Running(models.first(), 0.0)
        thread.run({ gallery.workshop?.let { measure(it, models, mode) } ?: BenchState.Idle }) { state.value = it }
    }

    /** Ends the run at the next look; there is no result then. */
    fun stop() = stop.set(true)

    private fun measure(shop: Workshop, models: List<String>, mode: BenchMode): BenchState = try {
        val config = settings.current.value.engine
        val before = phone.condition()
        val run = BenchRunner(Host(models.size)).run(models.map { subject(shop, it, config) }, BenchProtocol(mode))
        val samples = Samples.read(shop.manifest, shop.sideFiles)
        if (run == null) {
            BenchState.Stopped
        } else {
            BenchState.Done(
                BenchReport(
                    created = parts.now().truncatedTo(ChronoUnit.SECONDS).toString(),
                    generator = Generator(phone.version, shop.sha256),
                    device = phone.device,
                    runtime = phone.runtime,
                    before = before,
                    after = phone.condition(),
                    run = run,
                    samples = samples.items.size,
                    scores = shop.trial.run(samples, config)
                )
            )
        }
    } catch (problem: UnavailableException) {
        BenchState.Failed(problem.state)
    } catch (problem: EngineException) {
        BenchState.Failed(VariantState.Failed(problem.message.orEmpty()))
    } catch (problem: SideFileException) {
        BenchState.Failed(VariantState.Failed(problem.message.orEmpty()))
    }

    private fun subject(shop: Workshop, id: String, config: EngineConfig): BenchSubject {
        val entry = checkNotNull(shop.manifest.model(id)) { "no model $id" }
        return BenchSubject(id, entry.plain, shop.selfTest.input(entry, 0)) {
            shop.library.open(entry, config, shop.opener)
        }
    }

    private inner class Host(private val models: Int) : BenchHost {
        private var steps = 0
        override val clock = parts.clock

        override fun nativeHeapBytes(): Long = Debug.getNativeHeapAllocatedSize()

        override fun battery(): BatteryReading? = phone.battery()

        override fun pause(seconds: Double) = parts.pause((seconds * 1000).toLong())

        override fun stopped(): Boolean = stop.get()

        override fun progress(name: String, block: Int, blocks: Int) {
            val now = BenchState.Running(name, steps++.toDouble() / (models * (blocks + 1)))
            thread.tell { if (state.value is BenchState.Running) state.value = now }
        }
    }
}
