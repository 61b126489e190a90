package org.tfcompress.demo.core.run

import org.tfcompress.demo.core.engine.EngineConfig

/** What the bundled samples say about the variants that could run. */
class SampleScores(val matrix: AgreementMatrix, private val truth: List<Int>, private val reference: String) {
    /** Fraction of samples with the true class; null for a variant that did not run. */
    fun top1(name: String): Double? = if (name in matrix.names) matrix.accuracy(name, truth) else null

    /** Fraction of samples with the reference's class; null where either did not run. */
    fun agreement(name: String): Double? =
        if (name in matrix.names && reference in matrix.names) matrix.fraction(name, reference) else null
}

/** Runs all variants on all samples. */
class SampleTrial(private val library: ModelLibrary, private val runner: VariantRunner) {
    fun run(samples: Samples, config: EngineConfig): SampleScores {
        val answers = LinkedHashMap<String, List<Int>>()
        for (entry in library.manifest.models) {
            val labels = samples.items.map { runner.run(entry, it.image, config) }
                .mapNotNull { (it as? Outcome.Answered)?.prediction?.label }
            if (labels.size == samples.items.size) answers[entry.id] = labels
        }
        return SampleScores(AgreementMatrix(answers), samples.items.map { it.label }, library.manifest.reference)
    }
}
