package org.tfcompress.demo.core.manifest

import org.tfcompress.demo.core.json.FieldException
import org.tfcompress.demo.core.json.JsonFields
import org.tfcompress.demo.core.json.JsonNumber

private val SHA256 = Regex("[0-9a-f]{64}")

/** A file or folder name, but neither `.` nor `..`. */
private const val NAME = "(?!\\.{1,2}(?:/|$))[A-Za-z0-9._-]+"
private val PATH = Regex("$NAME(?:/$NAME)*")

/** A SHA-256 in lower-case hex. */
internal fun JsonFields.sha256(name: String): String =
    string(name).also { if (!SHA256.matches(it)) wrong(name, "64 lower-case hexadecimal digits") }

/** A relative path that stays inside the folder. */
internal fun JsonFields.path(name: String): String = string(name).also {
    if (!isSafePath(it)) wrong(name, "a path inside the folder")
}

internal fun isSafePath(path: String): Boolean = PATH.matches(path)

internal fun JsonFields.digest(bytes: String = "bytes", sha256: String = "sha256") =
    FileDigest(long(bytes, 1..Int.MAX_VALUE.toLong()), sha256(sha256))

/** The parts of a manifest that are not about one model. */
internal object ManifestParts {
    private const val MAX_SIDE = 1024
    private const val CENTERING = "mnist-20x20-center-of-mass"

    fun input(fields: JsonFields): InputRules {
        if (fields.string("layout") != "NHWC") fields.wrong("layout", "\"NHWC\"")
        if (fields.string("ink") != "bright-on-dark") fields.wrong("ink", "\"bright-on-dark\"")
        if (fields.string("centering") != CENTERING) fields.wrong("centering", "\"$CENTERING\"")
        val normalization = fields.fields("normalization")
        return InputRules(
            width = fields.int("width", 1..MAX_SIDE),
            height = fields.int("height", 1..MAX_SIDE),
            channels = fields.int("channels", 1..1),
            ink = fields.string("ink"),
            scale = normalization.double("scale"),
            offset = normalization.double("offset"),
            centering = fields.string("centering")
        )
    }

    fun edges(fields: JsonFields) =
        MonitorEdges(ascending(fields, "confidence_edges"), ascending(fields, "latency_edges_us"))

    fun files(fields: JsonFields): Map<String, FileDigest> = fields.names.associateWith { name ->
        if (!isSafePath(name)) throw FieldException("${fields.path}.$name", "must be a path inside the folder")
        fields.fields(name).digest()
    }

    private fun ascending(fields: JsonFields, name: String): List<Double> {
        val edges = fields.items(name).map { (it as? JsonNumber)?.toDouble() ?: fields.wrong(name, "numbers") }
        if (edges.size < 2 || edges.zipWithNext().any { (a, b) -> a >= b }) {
            fields.wrong(name, "two numbers or more, ascending")
        }
        return edges
    }
}
