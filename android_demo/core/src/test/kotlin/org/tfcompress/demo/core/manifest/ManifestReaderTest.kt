package org.tfcompress.demo.core.manifest

import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.DynamicTest.dynamicTest
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.TestFactory
import org.tfcompress.demo.core.TestFolder
import org.tfcompress.demo.core.engine.RuntimeVersion
import org.tfcompress.demo.core.json.JsonNumber
import org.tfcompress.demo.core.tensor.Quantization

class ManifestReaderTest {
    @Test
    fun `all that it says is read`() {
        val manifest = TestFolder().manifest()
        assertEquals(listOf("float", "coarse", "secret"), manifest.models.map { it.id })
        assertEquals(listOf("a", "b", "c"), manifest.labels)
        assertEquals(mapOf("tfcompress" to "0.1.0"), manifest.generator)
        assertEquals(listOf(0.0, 0.5, 0.9, 1.0), manifest.edges.confidence)
        assertEquals(
            setOf("samples/images.bin", "samples/index.json"),
            manifest.files.keys.filter {
                "sam" in it
            }.toSet()
        )
        val entry = manifest.model("float")!!
        assertEquals("模型 float", entry.title.of("zh"))
        assertEquals("Model float", entry.title.of("fr"))
        assertEquals(RuntimeVersion(1, 14, 0), entry.minRuntime)
        assertEquals(RecipeStep("prune", mapOf("sparsity" to JsonNumber("0.5"))), entry.recipe.single())
        assertEquals(listOf(1, 2, 2, 1), entry.input.shape)
        assertEquals(Semantic.LOGITS, entry.semantic)
        assertEquals(1.0, entry.metrics?.top1)
        assertEquals(2.0, entry.metrics?.host?.p90Us)
        assertEquals(listOf(0L, 1L, 2L), entry.referenceHistogram?.confidence)
        assertEquals(entry.digest, entry.plain)
        assertNull(manifest.model("none"))
    }

    @Test
    fun `encryption is read and its plaintext is what counts`() {
        val entry = TestFolder().manifest().model("secret")!!
        val encryption = entry.encryption!!
        assertArrayEquals(TestFolder.SALT, encryption.salt)
        assertArrayEquals(TestFolder.NONCE, encryption.nonce)
        assertEquals(48, encryption.plain.bytes)
        assertEquals(64, entry.digest.bytes)
        assertEquals(encryption.plain, entry.plain)
    }

    @Test
    fun `what may be missing may be null or missing`() {
        val folder = TestFolder()
        val bare = folder.entry("float", "float.lin", "float") +
            mapOf("min_runtime" to null, "metrics" to null, "recipe" to emptyList<Any>(), "unknown" to listOf(1)) -
            "reference_histogram" - "encryption"
        folder.members["models"] = listOf(bare)
        val entry = folder.manifest().models.single()
        assertNull(entry.minRuntime)
        assertNull(entry.metrics)
        assertNull(entry.referenceHistogram)
        assertTrue(entry.recipe.isEmpty())
    }

    @Test
    fun `int8 tensors have a scale and a zero point`() {
        val folder = TestFolder()
        val quant = mapOf("scale" to 0.003921568859368563, "zero_point" to -128)
        folder.members["models"] = listOf(
            folder.entry("float", "float.lin", "float").with("inputs", 0, mapOf("dtype" to "int8", "quant" to quant))
        )
        assertEquals(Quantization(0.003921569f, -128), folder.manifest().models.single().input.quantization)
    }

    @TestFactory
    fun `each fault of the document is refused and named`(): List<DynamicTest> = listOf<
        Pair<
            String,
            (
                TestFolder
            ) -> Unit
            >
        >(
        "manifest.schema" to { it.members["schema"] = "tfcompress.android/2" },
        "manifest.sig_alg" to { it.members["sig_alg"] = "none" },
        "manifest.key_sha256" to { it.members["key_sha256"] = "AB" },
        "manifest.created" to { it.members.remove("created") },
        "manifest.reference" to { it.members["reference"] = "gone" },
        "manifest.models" to { it.members["models"] = emptyList<Any>() },
        "manifest.models" to { it.members["models"] = List(2) { _ -> it.entry("float", "float.lin", "float") } },
        "manifest.samples" to { it.members["samples"] = "../index.json" },
        "manifest.samples" to { it.members["samples"] = "samples/../index.json" },
        "manifest.samples" to { it.members["samples"] = "samples/.." },
        "manifest.samples" to { it.members["samples"] = "/index.json" },
        "manifest.files" to { it.files["a/../b"] = byteArrayOf(1) },
        "manifest.task.kind" to { it.members["task"] = mapOf("kind" to "detection") },
        "manifest.input.layout" to { it.change("input", "layout" to "NCHW") },
        "manifest.input.ink" to { it.change("input", "ink" to "dark-on-bright") },
        "manifest.input.centering" to { it.change("input", "centering" to "none") },
        "manifest.input.channels" to { it.change("input", "channels" to 3) },
        "manifest.input.width" to { it.change("input", "width" to 0) },
        "manifest.monitor.confidence_edges" to { it.change("monitor", "confidence_edges" to listOf(0.5, 0.5)) },
        "manifest.monitor.latency_edges_us" to { it.change("monitor", "latency_edges_us" to listOf("a", "b")) }
    ).map { (place, change) -> refused(place, change) }

    @TestFactory
    fun `each fault of a model is refused and named`(): List<DynamicTest> = listOf<Pair<String, Map<String, Any?>>>(
        "id" to mapOf("id" to "a b"),
        "title.en" to mapOf("title" to mapOf("zh" to "x")),
        "file" to mapOf("file" to "a//b"),
        "bytes" to mapOf("bytes" to 0),
        "bytes" to mapOf("bytes" to 1.5),
        "sha256" to mapOf("sha256" to "0".repeat(63)),
        "inputs" to mapOf("inputs" to emptyList<Any>()),
        "outputs" to mapOf("outputs" to List(2) { emptyMap<String, Any>() }),
        "min_runtime" to mapOf("min_runtime" to "new"),
        "op_versions.ADD" to mapOf("op_versions" to mapOf("ADD" to 0)),
        "recipe[0].op" to mapOf("recipe" to listOf(mapOf("sparsity" to 1))),
        "golden" to mapOf("golden" to mapOf("input" to "a", "output" to "b", "count" to 1, "max_lsb" to 1)),
        "golden" to mapOf("golden" to mapOf("input" to "a", "output" to "b", "count" to 1)),
        "reference_histogram.classes" to mapOf(
            "reference_histogram" to
                mapOf("data" to "x", "samples" to 1, "classes" to listOf(1), "confidence" to listOf(1))
        ),
        "metrics.host.threads" to
            mapOf("metrics" to mapOf("host" to mapOf("device" to "", "runtime" to "", "threads" to 0)))
    ).map { (place, change) ->
        refused("manifest.models[0].$place") {
            it.members["models"] = listOf(it.entry("float", "float.lin", "float") + change)
        }
    }

    @TestFactory
    fun `each fault of a tensor is refused and named`(): List<DynamicTest> {
        val quant = mapOf("scale" to 0.5, "zero_point" to 0)
        return listOf<Triple<String, String, Map<String, Any?>>>(
            Triple("inputs", "dtype", mapOf("dtype" to "uint8")),
            Triple("inputs", "shape", mapOf("shape" to listOf(-1, 2, 2, 1))),
            Triple("inputs", "quant", mapOf("quant" to quant)),
            Triple("inputs", "quant", mapOf("dtype" to "int8")),
            Triple("inputs", "quant.scale", mapOf("dtype" to "int8", "quant" to quant + ("scale" to 0))),
            Triple("inputs", "quant.scale", mapOf("dtype" to "int8", "quant" to quant + ("scale" to 1e-45))),
            Triple("inputs", "quant.zero_point", mapOf("dtype" to "int8", "quant" to quant + ("zero_point" to 128))),
            Triple("outputs", "shape", mapOf("shape" to listOf(1, 4))),
            Triple("outputs", "semantic", mapOf("semantic" to "boxes"))
        ).map { (list, place, change) ->
            refused("manifest.models[0].$list[0].$place") {
                it.members["models"] = listOf(it.entry("float", "float.lin", "float").with(list, 0, change))
            }
        }
    }

    @TestFactory
    fun `each fault of an encryption is refused and named`(): List<DynamicTest> {
        val kdf = mapOf("alg" to "PBKDF2-HMAC-SHA256", "salt" to "A".repeat(22) + "==", "iterations" to 600_000)
        return listOf<Pair<String, Map<String, Any?>>>(
            "alg" to mapOf("alg" to "A128GCM"),
            "aad" to mapOf("aad" to "tfcompress:1:other"),
            "nonce" to mapOf("nonce" to "AAAA"),
            "nonce" to mapOf("nonce" to "%%"),
            "plain_sha256" to mapOf("plain_sha256" to 1),
            "kdf.alg" to mapOf("kdf" to kdf + ("alg" to "scrypt")),
            "kdf.salt" to mapOf("kdf" to kdf + ("salt" to "AAAA")),
            "kdf.iterations" to mapOf("kdf" to kdf + ("iterations" to 99_999)),
            "kdf.iterations" to mapOf("kdf" to kdf + ("iterations" to 10_000_001))
        ).map { (place, change) ->
            refused("manifest.models[2].encryption.$place") {
                val models = it.members.getValue("models") as List<*>
                it.members["models"] = models.dropLast(1) + part(models[2]).with("encryption", change)
            }
        }
    }

    @Test
    fun `what is not JSON is refused`() {
        assertThrows(ManifestException::class.java) { ManifestReader.read("{".toByteArray()) }
        assertThrows(ManifestException::class.java) { ManifestReader.read("[]".toByteArray()) }
    }

    private fun refused(place: String, change: (TestFolder) -> Unit): DynamicTest = dynamicTest(place) {
        val folder = TestFolder()
        change(folder)
        val fault = assertThrows(ManifestException::class.java) { folder.manifest() }
        assertTrue(fault.message!!.startsWith(place), fault.message)
    }

    @Suppress("UNCHECKED_CAST")
    private fun part(value: Any?) = value as Map<String, Any?>

    private fun TestFolder.change(name: String, change: Pair<String, Any?>) {
        members[name] = part(members[name]) + change
    }

    private fun Map<String, Any?>.with(name: String, change: Map<String, Any?>) =
        this + (name to part(this[name]) + change)

    private fun Map<String, Any?>.with(name: String, at: Int, change: Map<String, Any?>): Map<String, Any?> =
        this + (name to (this[name] as List<*>).mapIndexed { i, item -> if (i == at) part(item) + change else item })
}
