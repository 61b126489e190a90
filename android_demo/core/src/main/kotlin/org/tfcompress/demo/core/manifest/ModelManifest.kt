package org.tfcompress.demo.core.manifest

import org.tfcompress.demo.core.json.JsonValue

/** What `manifest.json` says, schema `tfcompress.android/1`, checked by [ManifestReader]. */
class ModelManifest(
    val created: String,
    val generator: Map<String, String>,
    val keySha256: String,
    val dataset: String,
    val labels: List<String>,
    val input: InputRules,
    val edges: MonitorEdges,
    val reference: String,
    val models: List<ModelEntry>,
    val files: Map<String, FileDigest>,
    val samples: String
) {
    /** The model of that id, or null. */
    fun model(id: String): ModelEntry? = models.firstOrNull { it.id == id }
}

/** Size and SHA-256 (lower-case hex) of a file. */
data class FileDigest(val bytes: Long, val sha256: String)

/** How a picture becomes the input of the models. */
class InputRules(
    val width: Int,
    val height: Int,
    val channels: Int,
    val ink: String,
    val scale: Double,
    val offset: Double,
    val centering: String
)

/** Bin edges of the monitoring log, ascending. */
class MonitorEdges(val confidence: List<Double>, val latencyMicros: List<Double>)

/** A text in English and, where there is one, in Chinese. */
data class Title(val en: String, val zh: String) {
    /** The text for a language code such as `zh`. */
    fun of(language: String): String = if (language == "zh") zh else en
}

/** One step of a recipe: what was done and its settings, as they are to be shown. */
data class RecipeStep(val op: String, val settings: Map<String, JsonValue>)
