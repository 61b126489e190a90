package org.tfcompress.demo.core.json

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

class JsonTextTest {
    @Test
    fun `the form is two spaces of indent and a line feed at the end`() {
        val value = jsonObject("a" to listOf(1, "x"), "b" to emptyList<Int>(), "c" to emptyMap<String, Int>())
        assertEquals("{\n  \"a\": [\n    1,\n    \"x\"\n  ],\n  \"b\": [],\n  \"c\": {}\n}\n", JsonText.write(value))
    }

    @Test
    fun `what is written is read as the same`() {
        val value = jsonObject(
            "text" to "quotes \" back \\ slash / lines \n\r\t\u0001 é 😀",
            "numbers" to listOf(0, -1, Long.MIN_VALUE, 1.5f, 1e-300, 123456789.125),
            "words" to listOf(true, false, null, JsonString("x"))
        )
        assertEquals(value, StrictJson.parse(JsonText.write(value).toByteArray()))
    }

    @Test
    fun `what has no JSON form is refused`() {
        for (bad in listOf(Double.NaN, Float.POSITIVE_INFINITY, 'c', Any())) {
            assertThrows(IllegalArgumentException::class.java) { jsonOf(bad) }
        }
    }

    @Test
    fun `fields name the place of a fault`() {
        val text = """{"a": {"n": 300, "s": "x", "f": 1.5, "l": [{"x": 1}, 2]}}"""
        val fields = JsonFields.of(StrictJson.parse(text), "doc")
        val a = fields.fields("a")
        val faults = listOf<() -> Any?>(
            {
                a.int("n", 0..255)
            }, { a.string("n") }, { a.int("f") }, { a.boolean("s") }, { a.list("l") }, { a.ints("l") },
            { a.strings("l") }, { a.fields("s") }, { a.need("gone") }, { a.double("s") }, { fields.items("a") }
        ).map { assertThrows(FieldException::class.java, { it() }).message!! }
        assertEquals("doc.a.n: must be from 0 to 255. Received: 300", faults[0])
        assertEquals("doc.a.gone: is missing", faults[8])
        assertTrue(faults.all { it.startsWith("doc.a") })
        assertEquals("doc.a.l[1]", assertThrows(FieldException::class.java) { a.list("l") }.path)
        assertThrows(FieldException::class.java) { JsonFields.of(JsonNull, "doc") }
    }

    @Test
    fun `a long value is cut in a message`() {
        val fields = JsonFields.of(jsonObject("a" to "x".repeat(500)), "doc")
        assertTrue(assertThrows(FieldException::class.java) { fields.int("a") }.message!!.length < 150)
    }
}
