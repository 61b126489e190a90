package org.tfcompress.demo.core.json

import java.util.Random
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.ValueSource
import org.tfcompress.demo.core.Vectors
import org.tfcompress.demo.core.base64

class StrictJsonTest {
    @Test
    fun `a document becomes values in order`() {
        val text = """ {"b": [1, -2.5e3, true, false, null], "a": {"x": "\u00e9\n\"\ud83d\ude00"}} """
        val found = StrictJson.parse(text)
        val expected = jsonObject(
            "b" to listOf(1, JsonNumber("-2.5e3"), true, false, null),
            "a" to mapOf("x" to "é\n\"😀")
        )
        assertEquals(expected, found)
        assertEquals(listOf("b", "a"), (found as JsonObject).members.keys.toList())
    }

    @ParameterizedTest
    @ValueSource(
        strings = [
            "", " ", "{", "[", "[1", "[1,", "[1,]", "{\"a\":1,}", "{\"a\" 1}", "{a:1}", "{\"a\":1 \"b\":2}", "[1 2]",
            "01", "-", "+1", ".5", "1.", "1e", "1e+", "0x10", "NaN", "Infinity", "-Infinity", "nul", "tru", "falsy",
            "'a'", "\"a", "\"\t\"", "\"\\x\"", "\"\\u12\"", "\"\\u12G4\"", "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800x\"",
            "1 2", "{} x", "/* c */ 1", "[1] // c", "{\"a\":1,\"a\":2}", "{\"a\":1,\"\\u0061\":2}", "\u0000", "1\u0000",
            "\uFEFF1", "\u00a01"
        ]
    )
    fun `what is not JSON is refused`(text: String) {
        assertThrows(JsonException::class.java) { StrictJson.parse(text) }
    }

    @Test
    fun `the place of a fault is told`() {
        val fault = assertThrows(JsonException::class.java) { StrictJson.parse("{\"a\": 1, \"a\": 2}") }
        assertEquals(9, fault.offset)
        assertTrue("duplicate member \"a\"" in fault.message!!)
    }

    @Test
    fun `depth and size are bounded`() {
        fun nested(n: Int) = "[".repeat(n) + "]".repeat(n)
        StrictJson.parse(nested(StrictJson.MAX_DEPTH))
        assertThrows(JsonException::class.java) { StrictJson.parse(nested(StrictJson.MAX_DEPTH + 1)) }
        assertThrows(JsonException::class.java) { StrictJson.parse(nested(100_000)) }
        assertThrows(JsonException::class.java) { StrictJson.parse("[".repeat(100_000)) }
        StrictJson.parse(("1" + " ".repeat(StrictJson.MAX_BYTES - 1)).toByteArray())
        val tooLarge = ("1" + " ".repeat(StrictJson.MAX_BYTES)).toByteArray()
        assertThrows(JsonException::class.java) { StrictJson.parse(tooLarge) }
    }

    @Test
    fun `invalid UTF-8 is refused`() {
        for (bytes in listOf(listOf(0xc3), listOf(0xff), listOf(0xc0, 0x80), listOf(0xed, 0xa0, 0x80))) {
            val text = byteArrayOf(34) + bytes.map { it.toByte() }.toByteArray() + byteArrayOf(34)
            assertThrows(JsonException::class.java) { StrictJson.parse(text) }
        }
        assertEquals(JsonString("é"), StrictJson.parse("\"é\"".toByteArray()))
    }

    @Test
    fun `numbers keep their digits`() {
        assertEquals(Long.MAX_VALUE, (StrictJson.parse("9223372036854775807") as JsonNumber).toLongOrNull())
        assertThrows(JsonException::class.java) { StrictJson.parse("9223372036854775808") }
        assertThrows(JsonException::class.java) { StrictJson.parse("-9223372036854775809") }
        assertNull(JsonNumber("1.0").toLongOrNull())
        assertThrows(JsonException::class.java) { StrictJson.parse("[1, 1e400]") }
        assertEquals(0.1, JsonNumber("0.1").toDouble())
    }

    @Test
    fun `random bytes give a value or a JsonException, nothing else`() {
        val random = Random(1)
        val alphabet = "{}[]\",:0123456789.eE+-tfnul\\ \n\u00e9"
        var accepted = 0
        repeat(20_000) {
            val text = String(CharArray(random.nextInt(12)) { alphabet[random.nextInt(alphabet.length)] })
            try {
                val value = StrictJson.parse(text)
                assertEquals(value, StrictJson.parse(JsonText.write(value)))
                accepted++
            } catch (_: JsonException) {
                // Refused, as most are.
            }
        }
        assertTrue(accepted > 100)
    }

    @Test
    fun `shared vectors`() {
        val vectors = Vectors.read("strict_json")
        val accepted = vectors.strings("accepted")
        val refused = vectors.list("refused")
        accepted.forEach { StrictJson.parse(it.toByteArray()) }
        for (case in refused) {
            assertThrows(JsonException::class.java, { StrictJson.parse(case.base64("base64")) }, case.string("why"))
        }
        assertTrue(accepted.isNotEmpty() && refused.isNotEmpty())
    }
}
