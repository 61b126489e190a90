package org.tfcompress.demo.core.manifest

import org.tfcompress.demo.core.engine.RuntimeVersion
import org.tfcompress.demo.core.json.FieldException
import org.tfcompress.demo.core.json.JsonFields
import org.tfcompress.demo.core.json.JsonNumber
import org.tfcompress.demo.core.tensor.DataType
import org.tfcompress.demo.core.tensor.Quantization
import org.tfcompress.demo.core.tensor.TensorSpec

/** Reads one entry of `models`; [classes], [rules] and [edges] are what it has to fit. */
internal class EntryReader(private val classes: Int, private val rules: InputRules, private val edges: MonitorEdges) {
    fun read(fields: JsonFields): ModelEntry {
        val id = fields.string("id")
        if (!ID.matches(id)) fields.wrong("id", "letters, digits, _ and -")
        val output = one(fields, "outputs")
        return ModelEntry(
            id = id,
            title = fields.fields("title").let {
                Title(it.string("en"), it.string(if (it.isNull("zh")) "en" else "zh"))
            },
            file = fields.path("file"),
            digest = fields.digest(),
            mode = fields.string("mode"),
            recipe = fields.list("recipe").map(::step),
            input = tensor(one(fields, "inputs"), listOf(1, rules.height, rules.width, rules.channels)),
            output = tensor(output, listOf(1, classes)),
            semantic = Semantic.entries.firstOrNull { it.id == output.string("semantic") }
                ?: output.wrong("semantic", "\"logits\" or \"probabilities\""),
            minRuntime = fields.optional("min_runtime") { version(fields, it) },
            opVersions = fields.fields("op_versions").let { ops -> ops.names.associateWith { ops.int(it, 1..999) } },
            encryption = fields.optional("encryption") { EncryptionReader.read(fields.fields(it), id) },
            metrics = fields.optional("metrics") { metrics(fields.fields(it)) },
            golden = golden(fields.fields("golden"), DataType.of(output.string("dtype")) == DataType.INT8),
            referenceHistogram = fields.optional("reference_histogram") { histogram(fields.fields(it)) }
        )
    }

    private fun one(fields: JsonFields, name: String): JsonFields =
        fields.list(name).singleOrNull() ?: throw FieldException("${fields.path}.$name", "must hold one tensor")

    private fun tensor(fields: JsonFields, shape: List<Int>): TensorSpec {
        val type = DataType.of(fields.string("dtype")) ?: fields.wrong("dtype", "\"int8\" or \"float32\"")
        if (fields.ints("shape") != shape) fields.wrong("shape", "$shape")
        val quant = fields.optional("quant", fields::fields)
        if ((type == DataType.INT8) != (quant != null)) fields.wrong("quant", "an object for int8, null for float32")
        return TensorSpec(fields.string("name"), type, shape, quant?.let(::quantization))
    }

    private fun quantization(fields: JsonFields): Quantization {
        val scale = fields.double("scale").toFloat()
        if (!(scale > 0f && scale.isFinite() && (1f / scale).isFinite())) fields.wrong("scale", "a positive float32")
        return Quantization(scale, fields.int("zero_point", Quantization.LOWEST..Quantization.HIGHEST))
    }

    private fun version(fields: JsonFields, name: String) =
        RuntimeVersion.parse(fields.string(name)) ?: fields.wrong(name, "a version such as 2.16.1")

    private fun step(fields: JsonFields) =
        RecipeStep(fields.string("op"), (fields.names - "op").associateWith(fields::need))

    private fun metrics(fields: JsonFields) = Metrics(
        data = fields.optional("data", fields::string),
        samples = fields.optional("samples") { fields.long(it) },
        top1 = fields.optional("top1", fields::double),
        agreement = fields.optional("agreement", fields::double),
        compressedBytes = fields.optional("compressed_bytes") { fields.long(it) },
        sparsity = fields.optional("sparsity", fields::double),
        host = fields.optional("host") { host(fields.fields(it)) }
    )

    private fun host(fields: JsonFields) = HostFigures(
        device = fields.string("device"),
        runtime = fields.string("runtime"),
        threads = fields.int("threads", 1..1024),
        p50Us = fields.double("p50_us"),
        p90Us = fields.double("p90_us")
    )

    private fun golden(fields: JsonFields, codes: Boolean): Golden {
        val maxLsb = fields.optional("max_lsb") { fields.int(it, 0..255) }
        val maxAbs = fields.optional("max_abs", fields::double)
        if ((maxLsb != null) != codes || (maxAbs != null) == codes) {
            throw FieldException(fields.path, "must have max_lsb for an int8 output and max_abs for a float32 one")
        }
        return Golden(fields.path("input"), fields.path("output"), fields.int("count", 1..4096), maxLsb, maxAbs)
    }

    private fun histogram(fields: JsonFields) = ReferenceHistogram(
        data = fields.string("data"),
        samples = fields.long("samples", 1..Long.MAX_VALUE),
        classes = counts(fields, "classes", classes),
        confidence = counts(fields, "confidence", edges.confidence.size - 1)
    )

    private fun counts(fields: JsonFields, name: String, size: Int): List<Long> {
        val counts = fields.items(name).map { (it as? JsonNumber)?.toLongOrNull() }
        if (counts.size != size || counts.any { it == null || it < 0 }) fields.wrong(name, "$size counts")
        return counts.filterNotNull()
    }

    private companion object {
        val ID = Regex("[A-Za-z0-9_-]{1,64}")
    }
}

/** Inline, so that no class is made for each [read]. */
internal inline fun <T> JsonFields.optional(name: String, read: (String) -> T): T? =
    if (isNull(name)) null else read(name)
