package org.tfcompress.demo.core.manifest

import org.tfcompress.demo.core.json.FieldException
import org.tfcompress.demo.core.json.JsonException
import org.tfcompress.demo.core.json.JsonFields
import org.tfcompress.demo.core.json.StrictJson

/** The manifest can't be used; [message] names the place. */
class ManifestException(message: String, cause: Throwable) : Exception(message, cause)

/** Reads a manifest. Unknown members are ignored; anything else that is not as agreed is an error. */
object ManifestReader {
    const val SCHEMA = "tfcompress.android/1"
    const val SIGNATURE_ALGORITHM = "ECDSA-P256-SHA256"

    /** Parses the bytes of `manifest.json`. Throws [ManifestException] and nothing else. */
    fun read(bytes: ByteArray): ModelManifest = try {
        manifest(JsonFields.of(StrictJson.parse(bytes), "manifest"))
    } catch (problem: JsonException) {
        throw ManifestException("manifest: ${problem.message}", problem)
    } catch (problem: FieldException) {
        throw ManifestException(problem.message.orEmpty(), problem)
    }

    private fun manifest(fields: JsonFields): ModelManifest {
        if (fields.string("schema") != SCHEMA) fields.wrong("schema", "\"$SCHEMA\"")
        if (fields.string("sig_alg") != SIGNATURE_ALGORITHM) fields.wrong("sig_alg", "\"$SIGNATURE_ALGORITHM\"")
        val task = fields.fields("task")
        if (task.string("kind") != "image-classification") task.wrong("kind", "\"image-classification\"")
        val labels = task.strings("labels")
        val input = ManifestParts.input(fields.fields("input"))
        val edges = ManifestParts.edges(fields.fields("monitor"))
        val models = fields.list("models").map { EntryReader(labels.size, input, edges).read(it) }
        if (models.isEmpty()) fields.wrong("models", "one model or more")
        val twice = models.groupBy { it.id }.filterValues { it.size > 1 }.keys
        if (twice.isNotEmpty()) throw FieldException("manifest.models", "id ${twice.first()} stands there twice")
        val reference = fields.string("reference")
        if (models.none { it.id == reference }) fields.wrong("reference", "the id of a model")
        return ModelManifest(
            created = fields.string("created"),
            generator = fields.fields("generator").let { g -> g.names.associateWith(g::string) },
            keySha256 = fields.sha256("key_sha256"),
            dataset = task.string("dataset"),
            labels = labels,
            input = input,
            edges = edges,
            reference = reference,
            models = models,
            files = ManifestParts.files(fields.fields("files")),
            samples = fields.path("samples")
        )
    }
}
