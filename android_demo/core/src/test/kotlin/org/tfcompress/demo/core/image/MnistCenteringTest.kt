package org.tfcompress.demo.core.image

import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.tfcompress.demo.core.TestFolder
import org.tfcompress.demo.core.Vectors
import org.tfcompress.demo.core.base64
import org.tfcompress.demo.core.manifest.InputRules
import org.tfcompress.demo.core.tensor.Quantization

class MnistCenteringTest {
    private fun drawn(vararg points: Float) = InkRasterizer().rasterize(listOf(Stroke(points)))

    private fun GrayImage.box(): List<Int> {
        val columns = (0 until width).filter { x -> (0 until height).any { this[x, it] > 0 } }
        val rows = (0 until height).filter { y -> (0 until width).any { this[it, y] > 0 } }
        return listOf(columns.first(), rows.first(), columns.last(), rows.last())
    }

    @Test
    fun `pictures are Python's, byte for byte`() {
        val cases = Vectors.read("centring").list("cases")
        for (case in cases) {
            val image = GrayImage(case.int("width"), case.int("height"), case.base64("pixels"))
            assertArrayEquals(case.base64("expected"), MnistCentering.center(image).pixels, case.string("name"))
        }
        assertTrue(cases.size >= 5)
    }

    @Test
    fun `no ink gives no ink`() {
        assertTrue(MnistCentering.center(GrayImage(50, 50)).isBlank)
        assertTrue(InkRasterizer().rasterize(emptyList()).isBlank)
    }

    @Test
    fun `where and how large a digit was drawn does not matter`() {
        val large = MnistCentering.center(drawn(0.5f, 0.1f, 0.5f, 0.9f))
        val moved = MnistCentering.center(drawn(0.25f, 0.1f, 0.25f, 0.9f))
        assertArrayEquals(large.pixels, moved.pixels)
        val (left, top, right, bottom) = large.box()
        assertEquals(20, bottom - top + 1)
        assertEquals(5, top)
        assertTrue(left in 11..14 && right in 14..17, "columns $left..$right")
        assertEquals(255, large[14, 14])
    }

    @Test
    fun `a dot fills the box and stays inside`() {
        val (left, top, right, bottom) = MnistCentering.center(drawn(0.01f, 0.01f)).box()
        assertTrue(left >= 0 && top >= 0 && right <= 27 && bottom <= 27)
        assertEquals(20, right - left + 1)
    }

    @Test
    fun `contrast is stretched to full ink`() {
        val faint = MnistCentering.center(GrayImage(10, 10, ByteArray(100) { if (it % 10 in 3..6) 40 else 0 }))
        assertEquals(255, faint.pixels.maxOf { it.toInt() and 0xff })
    }

    @Test
    fun `strokes mark where they run and nowhere else`() {
        val image = drawn(0.5f, 0.2f, 0.5f, 0.8f)
        assertEquals(255, image[56, 56])
        assertEquals(0, image[30, 56])
        assertEquals(0, image[56, 5])
        val twice = InkRasterizer().rasterize(List(2) { Stroke(floatArrayOf(0.5f, 0.2f, 0.5f, 0.8f)) })
        assertArrayEquals(image.pixels, twice.pixels)
    }

    @Test
    fun `strokes outside of the pad are cut, not an error`() {
        drawn(-3f, -3f, 4f, 4f)
        assertTrue(drawn(2f, 2f).isBlank)
    }

    @Test
    fun `normalization is Python's, and so are its codes`() {
        val vectors = Vectors.read("normalization")
        val rules = rules(256, 1, vectors.double("scale"), vectors.double("offset"))
        val values = Normalization(rules).apply(GrayImage(256, 1, ByteArray(256) { it.toByte() }))
        assertEquals(vectors.ints("float32_bits"), values.map { it.toRawBits() })
        val quant = vectors.fields("quant")
        val q = Quantization(quant.double("scale").toFloat(), quant.int("zero_point"))
        assertEquals(vectors.ints("codes"), values.map { q.quantize(it).toInt() })
    }

    @Test
    fun `a picture of another size is refused`() {
        val normalization = Normalization(TestFolder().manifest().input)
        assertThrows(IllegalArgumentException::class.java) { normalization.apply(GrayImage(28, 28)) }
        assertThrows(IllegalArgumentException::class.java) { GrayImage(2, 2, ByteArray(3)) }
    }

    private fun rules(width: Int, height: Int, scale: Double, offset: Double) =
        InputRules(width, height, 1, "bright-on-dark", scale, offset, "mnist-20x20-center-of-mass")
}
