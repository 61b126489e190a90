package org.tfcompress.demo.core.run

import org.tfcompress.demo.core.engine.EngineCache
import org.tfcompress.demo.core.engine.EngineConfig
import org.tfcompress.demo.core.engine.EngineException
import org.tfcompress.demo.core.engine.EngineInfo
import org.tfcompress.demo.core.engine.FallbackOpener
import org.tfcompress.demo.core.image.GrayImage
import org.tfcompress.demo.core.manifest.ModelEntry

/** What one variant did with a picture. */
sealed interface Outcome {
    val entry: ModelEntry

    /** [agrees] with the reference; null where the reference itself gave no answer. */
    class Answered(
        override val entry: ModelEntry,
        val prediction: Prediction,
        val micros: Double,
        val medianMicros: Double,
        val info: EngineInfo,
        val agrees: Boolean?
    ) : Outcome

    class Unavailable(override val entry: ModelEntry, val state: VariantState) : Outcome
}

/** Lets every variant answer the same picture. Belongs to the thread that owns the models. */
class VariantRunner(
    private val library: ModelLibrary,
    private val opener: FallbackOpener,
    private val cache: EngineCache,
    private val clock: Clock
) {
    private val classifiers = HashMap<String, ImageClassifier>()
    private val latencies = HashMap<Pair<String, EngineConfig>, LatencyWindow>()

    /** One outcome per model of the manifest, in its order. The picture is 28 x 28, already centred. */
    fun run(image: GrayImage, config: EngineConfig): List<Outcome> {
        val outcomes = library.manifest.models.map { run(it, image, config) }
        val reference = outcomes.filterIsInstance<Outcome.Answered>()
            .firstOrNull { it.entry.id == library.manifest.reference }
        return outcomes.map { if (it is Outcome.Answered) it.against(reference) else it }
    }

    /** One model alone; agreement is not judged. */
    fun run(entry: ModelEntry, image: GrayImage, config: EngineConfig): Outcome = try {
        val engine = engine(entry, config)
        val timed = classifiers.getOrPut(entry.id) { ImageClassifier(entry, library.manifest.input, clock) }
            .classify(engine, image)
        val window = latencies.getOrPut(entry.id to config) { LatencyWindow() }
        window.add(timed.micros)
        Outcome.Answered(entry, timed.prediction, timed.micros, checkNotNull(window.medianMicros), engine.info, null)
    } catch (problem: UnavailableException) {
        Outcome.Unavailable(entry, problem.state)
    } catch (problem: EngineException) {
        cache.evict(entry.id)
        Outcome.Unavailable(entry, VariantState.Failed(problem.message.orEmpty()))
    }

    /** The open engine of a variant, opened if need be. Throws [UnavailableException]. */
    fun engine(entry: ModelEntry, config: EngineConfig) =
        cache.get(entry.id, config) { library.open(entry, config, opener) }

    /** Median of the last latencies of each model under [config], in microseconds. */
    fun medians(config: EngineConfig): Map<String, Double> = latencies.filterKeys { it.second == config }
        .mapNotNull { (key, window) -> window.medianMicros?.let { key.first to it } }.toMap()

    private fun Outcome.Answered.against(reference: Outcome.Answered?) = Outcome.Answered(
        entry,
        prediction,
        micros,
        medianMicros,
        info,
        reference?.let { it.prediction.label == prediction.label }
    )
}
