package org.tfcompress.demo.core.monitor

import org.tfcompress.demo.core.bench.json
import org.tfcompress.demo.core.json.FieldException
import org.tfcompress.demo.core.json.JsonException
import org.tfcompress.demo.core.json.JsonFields
import org.tfcompress.demo.core.json.JsonNumber
import org.tfcompress.demo.core.json.JsonObject
import org.tfcompress.demo.core.json.JsonText
import org.tfcompress.demo.core.json.StrictJson
import org.tfcompress.demo.core.json.jsonObject
import org.tfcompress.demo.core.manifest.ModelManifest

/** The monitoring log as JSON, there and back. */
internal object MonitorText {
    private const val SCHEMA = "tfcompress.monitor/1"

    fun write(log: MonitorLog, created: String, origin: MonitorOrigin): String = JsonText.write(
        jsonObject(
            "schema" to SCHEMA,
            "created" to created,
            "generator" to origin.generator.json(),
            "device" to origin.device.json(),
            "runtime" to origin.runtime.json(),
            "confidence_edges" to log.manifest.edges.confidence,
            "latency_edges_us" to log.manifest.edges.latencyMicros,
            "days" to log.days.map { (day, variants) ->
                jsonObject(
                    "day" to day,
                    "variants" to variants.map { (name, tally) -> variant(name, log.manifest, tally) }
                )
            }
        )
    )

    private fun variant(name: String, manifest: ModelManifest, tally: MonitorLog.Tally): JsonObject = jsonObject(
        "name" to name,
        "sha256" to manifest.model(name)?.plain?.sha256,
        "count" to tally.count,
        "classes" to tally.classes.toList(),
        "confidence" to tally.confidence.toList(),
        "latency_us" to tally.latency.toList(),
        "failures" to tally.failures
    )

    fun read(text: String, manifest: ModelManifest, manifestSha256: String): MonitorLog? = try {
        val fields = JsonFields.of(StrictJson.parse(text), "log")
        val ours = fields.string("schema") == SCHEMA &&
            fields.fields("generator").string("manifest_sha256") == manifestSha256
        if (ours) MonitorLog(manifest).also { log -> fields.list("days").forEach { readDay(it, log) } } else null
    } catch (_: JsonException) {
        null
    } catch (_: FieldException) {
        null
    } catch (_: IllegalArgumentException) {
        null
    }

    private fun readDay(fields: JsonFields, log: MonitorLog) {
        for (variant in fields.list("variants")) {
            val name = variant.string("name")
            if (log.manifest.model(name) == null) variant.wrong("name", "the id of a model")
            val tally = log.tally(fields.string("day"), name)
            tally.count = variant.long("count", 0..Long.MAX_VALUE)
            tally.failures = variant.long("failures", 0..Long.MAX_VALUE)
            fill(variant, "classes", tally.classes, tally.count)
            fill(variant, "confidence", tally.confidence, tally.count)
            fill(variant, "latency_us", tally.latency, tally.count)
        }
    }

    private fun fill(fields: JsonFields, name: String, into: LongArray, count: Long) {
        val counts = fields.items(name).map { (it as? JsonNumber)?.toLongOrNull() ?: -1 }
        if (counts.size != into.size || counts.any { it < 0 } || counts.sum() != count) {
            fields.wrong(name, "${into.size} counts that sum to $count")
        }
        counts.forEachIndexed { i, n -> into[i] = n }
    }
}
