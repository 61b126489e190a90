package org.tfcompress.demo.core.image

import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

class InkTest {
    private val first = Stroke(floatArrayOf(0f, 0f, 1f, 1f))
    private val second = Stroke(floatArrayOf(0.5f, 0.5f))

    @Test
    fun `undo takes strokes away, and brings a cleared drawing back`() {
        val ink = Ink()
        assertFalse(ink.canUndo)
        ink.add(first)
        ink.add(second)
        ink.undo()
        assertEquals(listOf(first), ink.strokes())
        ink.add(second)
        ink.clear()
        ink.clear()
        assertTrue(ink.isEmpty && ink.canUndo)
        ink.undo()
        assertEquals(listOf(first, second), ink.strokes())
        repeat(3) { ink.undo() }
        assertTrue(ink.isEmpty)
        assertFalse(ink.canUndo)
    }

    @Test
    fun `a stroke after clear makes the clearing final`() {
        val ink = Ink(listOf(first))
        ink.clear()
        ink.add(second)
        ink.undo()
        ink.undo()
        assertTrue(ink.isEmpty)
    }

    @Test
    fun `a drawing survives saving`() {
        val saved = Ink(listOf(first, second)).save()
        val back = Ink.restore(saved).strokes()
        assertEquals(2, back.size)
        assertArrayEquals(first.points, back[0].points)
        assertArrayEquals(second.points, back[1].points)
        assertTrue(Ink.restore(FloatArray(0)).isEmpty)
    }

    @Test
    fun `damage keeps what stands before it`() {
        val saved = Ink(listOf(first, second)).save()
        assertEquals(1, Ink.restore(saved.copyOf(saved.size - 1)).strokes().size)
        for (size in listOf(-1f, 0f, 3f, 1e9f, Float.NaN, Float.POSITIVE_INFINITY)) {
            assertEquals(1, Ink.restore(saved.copyOf().also { it[5] = size }).strokes().size, "size $size")
        }
        assertTrue(Ink.restore(saved.copyOf().also { it[1] = Float.NaN }).isEmpty)
    }

    @Test
    fun `a stroke is pairs of finite numbers`() {
        for (bad in listOf(floatArrayOf(), floatArrayOf(1f), floatArrayOf(1f, Float.NaN))) {
            assertThrows(IllegalArgumentException::class.java) { Stroke(bad) }
        }
    }
}
