package org.tfcompress.demo.core.run

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertInstanceOf
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.tfcompress.demo.core.LinearFactory
import org.tfcompress.demo.core.TestFolder
import org.tfcompress.demo.core.engine.Accelerator
import org.tfcompress.demo.core.engine.CrashGuard
import org.tfcompress.demo.core.engine.EngineCache
import org.tfcompress.demo.core.engine.EngineConfig
import org.tfcompress.demo.core.engine.FallbackOpener
import org.tfcompress.demo.core.engine.FlagStore
import org.tfcompress.demo.core.engine.RuntimeVersion
import org.tfcompress.demo.core.image.GrayImage
import org.tfcompress.demo.core.manifest.Semantic
import org.tfcompress.demo.core.security.IntegrityFault
import org.tfcompress.demo.core.security.ModelGate
import org.tfcompress.demo.core.security.SideFileException

class RunTest {
    private val folder = TestFolder()
    private val factory = LinearFactory()
    private var unlocked = false
    private var time = 0L
    private val config = EngineConfig()
    private val opener = FallbackOpener(factory, CrashGuard(NoFlags))
    private val cache = EngineCache(4)

    /** Each reading of the clock is 2 us after the one before. */
    private val clock = Clock { (time++) * 2000 }

    private fun library() = ModelLibrary(folder.manifest(), ModelGate(folder.reader), RuntimeVersion(2, 16, 1)) {
        if (unlocked) TestFolder.key else null
    }

    private fun runner(library: ModelLibrary = library()) = VariantRunner(library, opener, cache, clock)

    private fun picture(vararg pixels: Int) = GrayImage(2, 2, ByteArray(4) { pixels[it].toByte() })

    @Test
    fun `all variants answer one picture side by side`() {
        unlocked = true
        val outcomes = runner().run(picture(255, 0, 0, 230), config).map { it as Outcome.Answered }
        assertEquals(listOf("float", "coarse", "secret"), outcomes.map { it.entry.id })
        assertEquals(listOf(0, 0, 0), outcomes.map { it.prediction.label })
        assertTrue(outcomes.all { it.agrees == true && it.micros == 2.0 && it.medianMicros == 2.0 })
        assertEquals(1.0, outcomes[0].prediction.probabilities.sum(), 1e-12)
    }

    @Test
    fun `disagreement with the reference is told`() {
        // 0.9 counts as 1.0 in the coarse model: there class 0 draws level and leads.
        val outcomes = runner().run(picture(3, 0, 0, 255), config)
        assertEquals(2, (outcomes[0] as Outcome.Answered).prediction.label)
        assertEquals(0, (outcomes[1] as Outcome.Answered).prediction.label)
        assertEquals(false, (outcomes[1] as Outcome.Answered).agrees)
    }

    @Test
    fun `without the reference nobody agrees or disagrees`() {
        folder.files.getValue("float.lin")[0] = 1
        val state = run { folder.manifest() }
        folder.files.getValue("float.lin")[0] = 2
        val library = ModelLibrary(state, ModelGate(folder.reader), RuntimeVersion(2, 16, 1)) { null }
        val outcomes = runner(library).run(picture(1, 2, 3, 4), config)
        assertInstanceOf(Outcome.Unavailable::class.java, outcomes[0])
        assertNull((outcomes[1] as Outcome.Answered).agrees)
    }

    @Test
    fun `each state of a variant is shown and only ready ones run`() {
        val library = library()
        val (float, coarse, secret) = library.manifest.models
        assertEquals(VariantState.Ready, library.check(float))
        assertEquals(VariantState.Locked, library.check(secret))
        unlocked = true
        assertEquals(VariantState.Ready, library.check(secret))
        folder.files.getValue("coarse.lin")[1] = 77
        assertEquals(IntegrityFault.WRONG_HASH, (library.check(coarse) as VariantState.Refused).fault)
        val outcome = runner(library).run(coarse, picture(0, 0, 0, 0), config) as Outcome.Unavailable
        assertInstanceOf(VariantState.Refused::class.java, outcome.state)
        assertTrue(factory.opened.isEmpty())
    }

    @Test
    fun `a variant for a newer runtime is not run`() {
        folder.members["models"] = listOf(folder.entry("float", "float.lin", "float") + ("min_runtime" to "2.17.0"))
        val library = library()
        val expected = VariantState.NeedsRuntime(RuntimeVersion(2, 17, 0), RuntimeVersion(2, 16, 1))
        val entry = library.manifest.models.single()
        assertEquals(expected, library.check(entry))
        assertEquals(expected, (runner(library).run(entry, picture(0, 0, 0, 0), config) as Outcome.Unavailable).state)
        assertTrue(factory.opened.isEmpty())
    }

    @Test
    fun `a file that is another model than the manifest says is not run`() {
        folder.members["models"] = listOf(
            folder.entry("float", "float.lin", "float") + mapOf(
                "outputs" to listOf(output(Semantic.LOGITS, 0.25)),
                "golden" to
                    mapOf("input" to "golden/in.bin", "output" to "golden/float.bin", "count" to 1, "max_lsb" to 1)
            )
        )
        val library = library()
        val outcome = runner(library).run(library.manifest.models.single(), picture(0, 0, 0, 0), config)
        val state = (outcome as Outcome.Unavailable).state as VariantState.Failed
        assertTrue("the manifest says" in state.reason)
        assertTrue(factory.opened.single().closed)
    }

    @Test
    fun `a model that the runtime refuses is told, and a decrypted one is wiped`() {
        folder.files["float.lin"] = ByteArray(20)
        folder.members["models"] = listOf(folder.entry("float", "float.lin", "float"))
        val library = library()
        val outcome = runner(library).run(library.manifest.models.single(), picture(0, 0, 0, 0), config)
        assertEquals(VariantState.Failed("not a model"), (outcome as Outcome.Unavailable).state)
    }

    @Test
    fun `an engine that breaks is told and opened anew`() {
        val runner = runner()
        val entry = folder.manifest().models[0]
        runner.run(entry, picture(1, 1, 1, 1), config)
        factory.opened[0].close()
        val outcome = runner.run(entry, picture(1, 1, 1, 1), config) as Outcome.Unavailable
        assertEquals(VariantState.Failed("closed"), outcome.state)
        assertInstanceOf(Outcome.Answered::class.java, runner.run(entry, picture(1, 1, 1, 1), config))
        assertEquals(2, factory.opened.size)
    }

    @Test
    fun `a closed engine is not used again, and closing twice is nothing`() {
        val library = library()
        val engine = library.open(library.manifest.models[0], config, opener)
        engine.close()
        engine.close()
        assertThrows(IllegalStateException::class.java) { engine.write(java.nio.ByteBuffer.allocateDirect(16)) }
    }

    @Test
    fun `latencies are remembered by configuration`() {
        val runner = runner()
        runner.run(picture(1, 1, 1, 1), config)
        assertEquals(mapOf("float" to 2.0, "coarse" to 2.0), runner.medians(config))
        assertTrue(runner.medians(EngineConfig(threads = 2)).isEmpty())
        val window = LatencyWindow(3)
        assertNull(window.medianMicros)
        listOf(9.0, 1.0, 2.0, 3.0).forEach(window::add)
        assertEquals(2.0, window.medianMicros)
        assertThrows(IllegalArgumentException::class.java) { LatencyWindow(0) }
    }

    @Test
    fun `samples are read, scored and compared`() {
        val library = library()
        val samples = Samples.read(library.manifest, folder.side())
        assertEquals(listOf(false, false, true), samples.items.map { it.disputed })
        val scores = SampleTrial(library, runner(library)).run(samples, config)
        assertEquals(listOf("float", "coarse"), scores.matrix.names)
        assertEquals(1.0 to 1.0, scores.top1("float") to scores.agreement("coarse"))
        assertNull(scores.top1("secret"))
        assertNull(scores.agreement("secret"))
    }

    @Test
    fun `samples that do not fit are refused`() {
        val good = String(folder.files.getValue("samples/index.json"))
        val faults = listOf(
            "\"count\": 3" to "\"count\": 4", "tfcompress.samples/1" to "other/1", "\"width\": 2" to "\"width\": 3",
            "\"height\": 2" to "\"height\": 3", "\"kinds\": [\n    \"first\"," to "\"kinds\": [", "{" to "[",
            "images.bin" to "index.json"
        )
        for ((from, to) in faults) {
            assertTrue(from in good, from)
            folder.files["samples/index.json"] = good.replaceFirst(from, to).toByteArray()
            assertThrows(SideFileException::class.java, { Samples.read(folder.manifest(), folder.side()) }, from)
        }
        folder.files["samples/index.json"] =
            good.replace("2\n  ],\n  \"indices\"", "3\n  ],\n  \"indices\"").toByteArray()
        assertThrows(SideFileException::class.java) { Samples.read(folder.manifest(), folder.side()) }
    }

    @Test
    fun `agreement is counted pair by pair`() {
        val matrix = AgreementMatrix(mapOf("a" to listOf(1, 2, 3, 4), "b" to listOf(1, 2, 0, 0)))
        assertEquals(0.5, matrix.fraction("a", "b"))
        assertEquals(1.0, matrix.fraction("a", "a"))
        assertEquals(listOf(2, 3), matrix.disputed())
        assertEquals(0.75, matrix.accuracy("a", listOf(1, 2, 3, 0)))
        assertNull(AgreementMatrix(mapOf("a" to emptyList())).fraction("a", "a"))
        assertThrows(IllegalArgumentException::class.java) { AgreementMatrix(mapOf("a" to listOf(1), "b" to listOf())) }
        assertThrows(IllegalArgumentException::class.java) { matrix.accuracy("a", listOf(1)) }
    }

    @Test
    fun `the self-test compares with the golden outputs`() {
        val library = library()
        val entry = library.manifest.models[0]
        val test = SelfTest(folder.side())
        val good = test.run(entry, library.open(entry, config, opener))
        assertTrue(good.passed && good.difference == 0.0 && good.count == 2)
        val gpu = EngineConfig(Accelerator.GPU)
        val shifted = FallbackOpener(LinearFactory(gpuError = 0.01f), CrashGuard(NoFlags))
        val loose = test.run(entry, library.open(entry, gpu, shifted))
        assertTrue(loose.passed && loose.limit == null && loose.difference > 0.009)
        folder.files["golden/float.bin"] = folder.files.getValue("golden/coarse.bin")
        val other = SelfTest(folder.side()).run(folder.manifest().models[0], library.open(entry, config, opener))
        assertFalse(other.passed)
        folder.files["golden/float.bin"] = ByteArray(23)
        assertThrows(SideFileException::class.java) {
            SelfTest(folder.side()).run(folder.manifest().models[0], library.open(entry, config, opener))
        }
    }

    @Test
    fun `an answer that is not a number is a failure, not a prediction`() {
        val broken = FallbackOpener(LinearFactory(gpuError = Float.NaN), CrashGuard(NoFlags))
        val runner = VariantRunner(library(), broken, cache, clock)
        val gpu = EngineConfig(Accelerator.GPU)
        val entry = folder.manifest().models[0]
        val state = (runner.run(entry, picture(1, 1, 1, 1), gpu) as Outcome.Unavailable).state
        assertTrue("not finite" in (state as VariantState.Failed).reason)
        assertFalse(SelfTest(folder.side()).run(entry, library().open(entry, gpu, broken)).passed)
    }

    @Test
    fun `probabilities are taken as they are, logits through softmax`() {
        val values = floatArrayOf(0.2f, 0.5f, 0.3f)
        assertEquals(0.5, Prediction.of(values, Semantic.PROBABILITIES).confidence, 1e-7)
        assertEquals(1.0, Prediction.of(floatArrayOf(1.0000001f, -1e-7f), Semantic.PROBABILITIES).confidence)
        val logits = Prediction.of(values, Semantic.LOGITS)
        assertEquals(1, logits.label)
        assertTrue(logits.confidence < 0.4)
    }

    private fun output(semantic: Semantic, scale: Double) = mapOf(
        "name" to "y", "dtype" to "int8", "shape" to listOf(1, 3), "semantic" to semantic.id,
        "quant" to mapOf("scale" to scale, "zero_point" to 0)
    )

    private object NoFlags : FlagStore {
        override fun isSet(name: String) = false

        override fun set(name: String, value: Boolean) = Unit
    }
}
