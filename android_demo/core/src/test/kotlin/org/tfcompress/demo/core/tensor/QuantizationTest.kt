package org.tfcompress.demo.core.tensor

import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.CsvSource
import org.tfcompress.demo.core.Vectors
import org.tfcompress.demo.core.doubles
import org.tfcompress.demo.core.floats

class QuantizationTest {
    @ParameterizedTest
    @CsvSource(
        "0.5, 0", "1.5, 2", "2.5, 2", "-0.5, 0", "-1.5, -2", "127.5, 127", "1000, 127", "-1000, -128",
        "Infinity, 127", "-Infinity, -128"
    )
    fun `quantize rounds halves to even and saturates`(value: Float, expected: Int) {
        assertEquals(expected, Quantization(1f, 0).quantize(value).toInt())
    }

    @Test
    fun `all codes survive a round trip`() {
        for (q in listOf(Quantization(0.0039214822f, -128), Quantization(0.15263903f, -8), Quantization(3.1f, 127))) {
            for (code in -128..127) assertEquals(code, q.quantize(q.dequantize(code.toByte())).toInt())
        }
    }

    @Test
    fun `what makes no sense is refused`() {
        for (scale in listOf(0f, -1f, Float.NaN, Float.POSITIVE_INFINITY, Float.MIN_VALUE)) {
            assertThrows(IllegalArgumentException::class.java) { Quantization(scale, 0) }
        }
        assertThrows(IllegalArgumentException::class.java) { Quantization(1f, 128) }
        assertThrows(IllegalArgumentException::class.java) { Quantization(1f, 0).quantize(Float.NaN) }
    }

    @Test
    fun `codes and values are Python's`() {
        val cases = Vectors.read("quantize").list("cases")
        for (case in cases) {
            val q = Quantization(case.double("scale").toFloat(), case.int("zero_point"))
            val codes = case.floats("values").map { q.quantize(it).toInt() }
            assertEquals(case.ints("codes"), codes, case.string("name"))
            val back = codes.map { q.dequantize(it.toByte()) }.toFloatArray()
            assertArrayEquals(case.floats("dequantized"), back, case.string("name"))
        }
        assertTrue(cases.isNotEmpty())
    }

    @Test
    fun `a codec fills an int8 buffer and reads it back`() {
        val codec = TensorCodec(TensorSpec("x", DataType.INT8, listOf(1, 4), Quantization(0.5f, -1)))
        val buffer = codec.newBuffer()
        codec.encode(floatArrayOf(0f, 0.7f, -3f, 1e9f), buffer)
        assertEquals(listOf(-1, 0, -7, 127), (0..3).map { buffer.get(it).toInt() })
        assertArrayEquals(floatArrayOf(0f, 0.5f, -3f, 64f), codec.decode(buffer))
        assertEquals(0, buffer.position())
    }

    @Test
    fun `a codec fills a float buffer in native order`() {
        val codec = TensorCodec(TensorSpec("x", DataType.FLOAT32, listOf(1, 2), null))
        val buffer = codec.newBuffer()
        codec.encode(floatArrayOf(1.5f, -2f), buffer)
        assertEquals(8, buffer.capacity())
        assertArrayEquals(floatArrayOf(1.5f, -2f), codec.decode(buffer))
    }

    @Test
    fun `a wrong size or order is told, not run`() {
        val codec = TensorCodec(TensorSpec("image", DataType.INT8, listOf(1, 784), Quantization(1f, 0)))
        val fault = assertThrows(IllegalArgumentException::class.java) {
            codec.encode(FloatArray(784), ByteBuffer.allocateDirect(3136).order(ByteOrder.nativeOrder()))
        }
        assertTrue("image is 784 bytes" in fault.message!! && "3136" in fault.message!!)
        assertThrows(IllegalArgumentException::class.java) { codec.encode(FloatArray(10), codec.newBuffer()) }
        val swapped = if (ByteOrder.nativeOrder() ==
            ByteOrder.LITTLE_ENDIAN
        ) {
            ByteOrder.BIG_ENDIAN
        } else {
            ByteOrder.LITTLE_ENDIAN
        }
        assertThrows(IllegalArgumentException::class.java) { codec.decode(codec.newBuffer().order(swapped)) }
    }

    @Test
    fun `a spec has static dimensions and a type that fits`() {
        assertThrows(IllegalArgumentException::class.java) { TensorSpec("x", DataType.FLOAT32, listOf(-1, 2), null) }
        assertThrows(IllegalArgumentException::class.java) { TensorSpec("x", DataType.FLOAT32, emptyList(), null) }
        assertThrows(IllegalArgumentException::class.java) { TensorSpec("x", DataType.INT8, listOf(1), null) }
        assertThrows(IllegalArgumentException::class.java) {
            TensorSpec("x", DataType.FLOAT32, List(9) { 65536 }, null)
        }
    }

    @Test
    fun `softmax is Python's`() {
        val vectors = Vectors.read("softmax")
        val cases = vectors.list("cases")
        for (case in cases) {
            val found = Probabilities.softmax(case.doubles("logits"))
            assertArrayEquals(case.doubles("probabilities"), found, vectors.double("tolerance"), case.string("name"))
        }
        assertTrue(cases.isNotEmpty())
    }

    @Test
    fun `softmax sums to one and does not overflow`() {
        val found = Probabilities.softmax(doubleArrayOf(1e300, 1e300, -1e300))
        assertArrayEquals(doubleArrayOf(0.5, 0.5, 0.0), found)
        assertThrows(IllegalArgumentException::class.java) { Probabilities.softmax(DoubleArray(0)) }
        assertThrows(IllegalArgumentException::class.java) { Probabilities.softmax(doubleArrayOf(Double.NaN)) }
    }

    @Test
    fun `top k is Python's`() {
        val cases = Vectors.read("topk").list("cases")
        for (case in cases) {
            val found = Probabilities.topK(case.doubles("scores"), case.int("k"))
            assertEquals(case.ints("indices"), found, case.string("name"))
        }
        assertTrue(cases.isNotEmpty())
        assertThrows(IllegalArgumentException::class.java) { Probabilities.topK(doubleArrayOf(1.0), 2) }
        assertThrows(IllegalArgumentException::class.java) { Probabilities.argmax(doubleArrayOf(1.0, Double.NaN)) }
    }
}
