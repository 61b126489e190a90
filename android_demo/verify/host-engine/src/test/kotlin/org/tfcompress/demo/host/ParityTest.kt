package org.tfcompress.demo.host

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.DynamicTest.dynamicTest
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.TestFactory
import org.tfcompress.demo.core.engine.EngineConfig
import org.tfcompress.demo.core.engine.EngineException
import org.tfcompress.demo.core.engine.answer
import org.tfcompress.demo.core.image.GrayImage
import org.tfcompress.demo.core.json.JsonFields
import org.tfcompress.demo.core.json.StrictJson
import org.tfcompress.demo.core.manifest.ModelEntry
import org.tfcompress.demo.core.run.Clock
import org.tfcompress.demo.core.run.ImageClassifier
import org.tfcompress.demo.core.run.SelfTest
import org.tfcompress.demo.core.tensor.DataType
import org.tfcompress.demo.core.tensor.TensorCodec

/** The app's own path from file to output against Python's: int8 byte for byte, float32 within 1e-5. */
class ParityTest {
    @TestFactory
    fun `random inputs`(): List<DynamicTest> = Bundle.manifest.models.flatMap { entry ->
        listOf(1, 2).map { threads -> dynamicTest("${entry.id}, $threads thread(s)") { tensors(entry, threads) } }
    }

    private fun tensors(entry: ModelEntry, threads: Int) {
        val inputs = File(Bundle.parity, "${entry.id}.in").readBytes()
        val expected = File(Bundle.parity, "${entry.id}.out").readBytes()
        val count = inputs.size / entry.input.bytes
        assertTrue(count >= LEAST, "$count inputs")
        val input = TensorCodec(entry.input).newBuffer()
        val found = ByteArray(expected.size)
        Bundle.open(entry, threads).use { engine ->
            for (n in 0 until count) {
                input.duplicate().put(inputs, n * entry.input.bytes, entry.input.bytes)
                engine.answer(input).get(found, n * entry.output.bytes, entry.output.bytes)
            }
        }
        compare(entry, expected, found, count)
    }

    /** From pixels, through the app's own normalization and quantization. */
    @TestFactory
    fun pictures(): List<DynamicTest> {
        val index = JsonFields.of(StrictJson.parse(File(Bundle.vectors, "parity.json").readBytes()), "parity")
        val outputs = index.fields("outputs")
        val pixels = File(Bundle.vectors, "pixels.bin").readBytes()
        val rules = Bundle.manifest.input
        val size = rules.width * rules.height
        val images = List(index.int("count")) {
            GrayImage(rules.width, rules.height, pixels.copyOfRange(it * size, (it + 1) * size))
        }
        assertTrue(images.size >= LEAST)
        return Bundle.manifest.models.map { entry ->
            val vector = outputs.names.map(outputs::fields).single { it.string("model_sha256") == entry.plain.sha256 }
            dynamicTest(entry.id) {
                val expected = File(Bundle.vectors, vector.string("file")).readBytes()
                val classifier = ImageClassifier(entry, rules, Clock(System::nanoTime))
                val found = Bundle.open(entry).use { engine -> images.map { classifier.rawOutput(engine, it) } }
                compare(entry, expected, found.reduce(ByteArray::plus), images.size)
            }
        }
    }

    private fun compare(entry: ModelEntry, expected: ByteArray, found: ByteArray, count: Int) {
        assertEquals(count * entry.output.bytes, expected.size)
        if (entry.output.type == DataType.INT8) {
            assertArrayEquals(expected, found)
            println("PARITY ${entry.id}: $count outputs identical")
            return
        }
        val wanted = ByteBuffer.wrap(expected).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer()
        val given = ByteBuffer.wrap(found).order(ByteOrder.nativeOrder()).asFloatBuffer()
        val most = (0 until wanted.limit()).maxOf { Math.abs(wanted[it].toDouble() - given[it]) }
        assertTrue(most <= TOLERANCE, "largest difference $most")
        println("PARITY ${entry.id}: $count outputs within $most")
    }

    @TestFactory
    fun `self-tests`(): List<DynamicTest> = Bundle.manifest.models.map { entry ->
        dynamicTest(entry.id) {
            val result = Bundle.open(entry).use { SelfTest(Bundle.side).run(entry, it) }
            assertTrue(result.passed, "difference ${result.difference}, limit ${result.limit}")
            assertEquals(entry.golden.count, result.count)
        }
    }

    @Test
    fun `a damaged model is refused by the runtime, and a switch that it lacks is not ignored`() {
        val cut = ByteBuffer.allocateDirect(100)
        assertThrows(EngineException::class.java) { Bundle.factory.open(cut, EngineConfig()) }
        assertThrows(EngineException::class.java) { Bundle.factory.open(cut, EngineConfig(xnnpack = false)) }
    }

    private companion object {
        const val LEAST = 200
        const val TOLERANCE = 1e-5
    }
}
