package org.tfcompress.demo.core.manifest

import org.tfcompress.demo.core.engine.RuntimeVersion
import org.tfcompress.demo.core.tensor.TensorSpec

/** One variant of the model as the manifest describes it. */
class ModelEntry(
    val id: String,
    val title: Title,
    val file: String,
    /** Of the shipped file, which is the ciphertext where [encryption] is set. */
    val digest: FileDigest,
    val mode: String,
    val recipe: List<RecipeStep>,
    val input: TensorSpec,
    val output: TensorSpec,
    val semantic: Semantic,
    /** Oldest runtime that can read the file; null where the file does not say. */
    val minRuntime: RuntimeVersion?,
    val opVersions: Map<String, Int>,
    val encryption: Encryption?,
    val metrics: Metrics?,
    val golden: Golden,
    val referenceHistogram: ReferenceHistogram?
) {
    /** Size and digest of the bytes that the runtime gets. */
    val plain: FileDigest get() = encryption?.plain ?: digest
}

/** What the numbers of an output mean. */
enum class Semantic(val id: String) {
    LOGITS("logits"),
    PROBABILITIES("probabilities")
}

/** AES-256-GCM with a key from a passphrase (PBKDF2-HMAC-SHA256); the file ends with the 16-byte tag. */
class Encryption(
    val nonce: ByteArray,
    val aad: String,
    val plain: FileDigest,
    val salt: ByteArray,
    val iterations: Int
)

/** What the exporter measured; null where it did not. Fractions are 0..1. */
class Metrics(
    val data: String?,
    val samples: Long?,
    val top1: Double?,
    val agreement: Double?,
    val compressedBytes: Long?,
    val sparsity: Double?,
    val host: HostFigures?
)

/** Latency on the exporter's machine. */
class HostFigures(val device: String, val runtime: String, val threads: Int, val p50Us: Double, val p90Us: Double)

/** [count] inputs and the outputs to expect: codes within [maxLsb], or floats within [maxAbs]. */
class Golden(val input: String, val output: String, val count: Int, val maxLsb: Int?, val maxAbs: Double?)

/** How the model answered the training images: what the monitoring log is compared with. */
class ReferenceHistogram(
    val data: String,
    val samples: Long,
    val classes: List<Long>,
    val confidence: List<Long>
)
