package org.tfcompress.demo.ui

import android.content.res.Resources
import org.tfcompress.demo.R
import org.tfcompress.demo.core.manifest.ModelEntry
import org.tfcompress.demo.core.tensor.TensorSpec

/** What there is to know about a model, as rows of name and value. */
class ModelFacts(private val resources: Resources, private val figures: Figures) {
    fun of(entry: ModelEntry): List<Pair<Int, String>> = listOfNotNull(
        R.string.fact_recipe to Recipes(resources, figures).full(entry.recipe),
        R.string.fact_mode to entry.mode,
        R.string.fact_input to tensor(entry.input),
        R.string.fact_output to tensor(entry.output),
        entry.metrics?.agreement?.let { R.string.fact_agreement to figures.percent(it, 2) },
        entry.metrics?.sparsity?.let { R.string.fact_sparsity to figures.percent(it) },
        entry.metrics?.compressedBytes?.let { R.string.fact_zipped to figures.size(it) },
        entry.metrics?.host?.let {
            R.string.fact_host to resources.getString(R.string.host_figures, figures.micros(it.p50Us), it.device)
        },
        R.string.fact_runtime to (entry.minRuntime?.toString() ?: resources.getString(R.string.unknown)),
        R.string.fact_ops to entry.opVersions.entries.joinToString("\n") { "${it.key} ${it.value}" },
        R.string.fact_encryption to (
            entry.encryption?.let { resources.getString(R.string.encrypted, figures.count(it.iterations.toLong())) }
                ?: resources.getString(R.string.not_encrypted)
            ),
        R.string.fact_sha to entry.digest.sha256.chunked(16).joinToString("\n")
    )

    private fun tensor(spec: TensorSpec): String {
        val shape = "${spec.type.id} ${spec.shape.joinToString("×")}"
        val codes = spec.quantization ?: return shape
        return "$shape\n" + resources.getString(R.string.codes, figures.plain(codes.scale.toDouble()), codes.zeroPoint)
    }
}
