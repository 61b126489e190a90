package org.tfcompress.demo.core

import java.nio.ByteBuffer
import java.security.KeyPair
import java.security.KeyPairGenerator
import java.security.Signature
import java.security.spec.ECGenParameterSpec
import java.util.Base64
import javax.crypto.Cipher
import javax.crypto.spec.GCMParameterSpec
import org.tfcompress.demo.core.json.JsonText
import org.tfcompress.demo.core.json.jsonObject
import org.tfcompress.demo.core.manifest.ManifestReader
import org.tfcompress.demo.core.manifest.ModelManifest
import org.tfcompress.demo.core.security.Digests
import org.tfcompress.demo.core.security.ManifestGate
import org.tfcompress.demo.core.security.ManifestState
import org.tfcompress.demo.core.security.ModelFiles
import org.tfcompress.demo.core.security.PassphraseKey
import org.tfcompress.demo.core.security.SideFiles
import org.tfcompress.demo.core.security.TrustedKey

/**
 * A models folder in memory, made and signed as the exporter does it: 2 x 2 pictures, three
 * classes, models in the form of [LinearEngine]. Tests change [files] or the manifest's members.
 */
class TestFolder {
    val files = HashMap<String, ByteArray>()
    val reader = ModelFiles { path -> files[path]?.let { ByteBuffer.wrap(it) } }
    val publicKey: ByteArray get() = pair.public.encoded

    /** Weights of class c: the picture that it likes. */
    private val float = LinearEngine.model(LIKES)
    private val coarse = LinearEngine.model(LIKES.map { row -> row.map { Math.rint(it * 4.0).toFloat() / 4 } })

    init {
        files["float.lin"] = float
        files["coarse.lin"] = coarse
        files["secret.enc"] = encrypt(coarse)
        val pictures = LIKES.map { row -> ByteArray(4) { (row[it] * 255).toInt().toByte() } }
        files["samples/images.bin"] = pictures.reduce(ByteArray::plus)
        files["samples/index.json"] = text(
            "schema" to "tfcompress.samples/1", "source" to "made", "licence" to "none", "width" to 2, "height" to 2,
            "file" to "samples/images.bin", "count" to 3, "labels" to listOf(0, 1, 2), "indices" to listOf(0, 1, 2),
            "kinds" to listOf("first", "first", "disputed")
        )
        val inputs = listOf(floatArrayOf(1f, 0f, 0.5f, 0.25f), floatArrayOf(0f, 1f, 0f, 1f))
        files["golden/in.bin"] = littleEndian(inputs)
        files["golden/float.bin"] = littleEndian(inputs.map { LinearEngine.multiply(float, it) })
        files["golden/coarse.bin"] = littleEndian(inputs.map { LinearEngine.multiply(coarse, it) })
    }

    val members = LinkedHashMap<String, Any?>().also { members ->
        members["schema"] = "tfcompress.android/1"
        members["created"] = "2026-05-04T03:02:01Z"
        members["generator"] = mapOf("tfcompress" to "0.1.0")
        members["sig_alg"] = "ECDSA-P256-SHA256"
        members["key_sha256"] = Digests.sha256(publicKey)
        members["runtime"] = null
        members["task"] =
            mapOf("kind" to "image-classification", "dataset" to "made", "labels" to listOf("a", "b", "c"))
        members["input"] = mapOf(
            "width" to 2, "height" to 2, "channels" to 1, "layout" to "NHWC", "ink" to "bright-on-dark",
            "normalization" to mapOf("scale" to 1.0 / 255, "offset" to 0.0),
            "centering" to "mnist-20x20-center-of-mass"
        )
        members["monitor"] = mapOf(
            "confidence_edges" to listOf(0.0, 0.5, 0.9, 1.0),
            "latency_edges_us" to listOf(0, 10, 100)
        )
        members["reference"] = "float"
        members["models"] = listOf(
            entry("float", "float.lin", "float"),
            entry("coarse", "coarse.lin", "coarse"),
            entry("secret", "secret.enc", "coarse", encryption())
        )
        members["samples"] = "samples/index.json"
    }

    /** One entry of `models`; its digest is of the file as it is now. */
    fun entry(id: String, file: String, golden: String, encryption: Any? = null): Map<String, Any?> = linkedMapOf(
        "id" to id,
        "title" to mapOf("en" to "Model $id", "zh" to "模型 $id"),
        "file" to file,
        "bytes" to files.getValue(file).size,
        "sha256" to Digests.sha256(files.getValue(file)),
        "mode" to "float32",
        "recipe" to listOf(mapOf("op" to "prune", "sparsity" to 0.5)),
        "inputs" to listOf(tensor("image", listOf(1, 2, 2, 1))),
        "outputs" to listOf(tensor("logits", listOf(1, 3)) + ("semantic" to "logits")),
        "min_runtime" to "1.14.0",
        "op_versions" to mapOf("FULLY_CONNECTED" to 1),
        "encryption" to encryption,
        "metrics" to mapOf(
            "data" to "made", "samples" to 3, "top1" to 1.0, "agreement" to 1.0, "compressed_bytes" to 40,
            "sparsity" to 0.0,
            "host" to mapOf("device" to "x", "runtime" to "y", "threads" to 1, "p50_us" to 1.5, "p90_us" to 2)
        ),
        "golden" to goldenOf("golden/$golden.bin"),
        "reference_histogram" to mapOf(
            "data" to "made", "samples" to 3, "classes" to listOf(1, 1, 1), "confidence" to listOf(0, 1, 2)
        )
    )

    private fun goldenOf(output: String) =
        mapOf("input" to "golden/in.bin", "output" to output, "count" to 2, "max_abs" to TINY)

    private fun tensor(name: String, shape: List<Int>): Map<String, Any?> =
        linkedMapOf("name" to name, "dtype" to "float32", "shape" to shape, "quant" to null)

    private fun encryption() = linkedMapOf(
        "alg" to "A256GCM",
        "nonce" to base64(NONCE),
        "aad" to "tfcompress:1:secret",
        "plain_sha256" to Digests.sha256(coarse),
        "plain_bytes" to coarse.size,
        "kdf" to mapOf("alg" to "PBKDF2-HMAC-SHA256", "salt" to base64(SALT), "iterations" to ITERATIONS)
    )

    /** The manifest's bytes; the digests of all side files are of the files as they are now. */
    fun manifestBytes(): ByteArray {
        val side = files.filterKeys { '/' in it }.toSortedMap()
            .mapValues { (_, bytes) -> mapOf("bytes" to bytes.size, "sha256" to Digests.sha256(bytes)) }
        return text(*(members + ("files" to side)).toList().toTypedArray())
    }

    fun manifest(): ModelManifest = ManifestReader.read(manifestBytes())

    fun side(): SideFiles = SideFiles(reader, manifest())

    fun open(): ManifestState = manifestBytes().let { ManifestGate(TrustedKey(publicKey)).open(it, sign(it)) }

    companion object {
        const val PASSPHRASE = "naïve passphrase"
        const val ITERATIONS = 100_000
        private const val TINY = 1e-5
        val SALT = ByteArray(16) { it.toByte() }
        val NONCE = ByteArray(12) { (it * 7).toByte() }
        val LIKES = listOf(listOf(1f, 0f, 0f, 0.9f), listOf(0f, 1f, 0.2f, 0f), listOf(0f, 0.3f, 1f, 1f))
        private val pair: KeyPair = newPair()

        /** The key of [PASSPHRASE]. */
        val key by lazy { PassphraseKey.derive(PASSPHRASE, SALT, ITERATIONS) }

        fun newPair(): KeyPair = KeyPairGenerator.getInstance("EC").run {
            initialize(ECGenParameterSpec("secp256r1"))
            generateKeyPair()
        }

        fun sign(message: ByteArray, by: KeyPair = pair): ByteArray = Signature.getInstance("SHA256withECDSA").run {
            initSign(by.private)
            update(message)
            sign()
        }

        fun encrypt(plain: ByteArray, aad: String = "tfcompress:1:secret"): ByteArray =
            Cipher.getInstance("AES/GCM/NoPadding").run {
                init(Cipher.ENCRYPT_MODE, key, GCMParameterSpec(128, NONCE))
                updateAAD(aad.toByteArray())
                doFinal(plain)
            }

        private fun text(vararg members: Pair<String, Any?>) = JsonText.write(jsonObject(*members)).toByteArray()

        private fun base64(bytes: ByteArray) = Base64.getEncoder().encodeToString(bytes)

        private fun littleEndian(rows: List<FloatArray>): ByteArray {
            val all = ByteBuffer.allocate(rows.sumOf { it.size } * 4).order(java.nio.ByteOrder.LITTLE_ENDIAN)
            rows.forEach { row -> row.forEach(all::putFloat) }
            return all.array()
        }
    }
}
