package org.tfcompress.demo.core.json

import java.nio.ByteBuffer
import java.nio.charset.CharacterCodingException
import java.nio.charset.CodingErrorAction

/**
 * RFC 8259 and nothing more: no comments, no trailing comma, no NaN, no duplicate member, no byte
 * order mark, no invalid UTF-8, no lone surrogate. Depth is bounded, so no input overflows the stack;
 * integers fit in 64 bits and other numbers in a double.
 */
object StrictJson {
    const val MAX_DEPTH = 32
    const val MAX_BYTES = 1 shl 20

    /** Parses a UTF-8 document. Throws [JsonException] and nothing else, whatever the bytes are. */
    fun parse(bytes: ByteArray): JsonValue {
        if (bytes.size > MAX_BYTES) throw JsonException("larger than $MAX_BYTES bytes", 0)
        return parse(decode(bytes))
    }

    /** Parses a document. Throws [JsonException] and nothing else. */
    fun parse(text: String): JsonValue = JsonParser(text).document()

    private fun decode(bytes: ByteArray): String {
        val decoder = Charsets.UTF_8.newDecoder()
            .onMalformedInput(CodingErrorAction.REPORT)
            .onUnmappableCharacter(CodingErrorAction.REPORT)
        val buffer = ByteBuffer.wrap(bytes)
        return try {
            decoder.decode(buffer).toString()
        } catch (_: CharacterCodingException) {
            throw JsonException("invalid UTF-8 at byte ${buffer.position()}", 0)
        }
    }
}

private class JsonParser(private val text: String) {
    private var at = 0
    private val strings = JsonStrings(text)

    fun document(): JsonValue {
        val value = value(1)
        space()
        if (at != text.length) fail("more text behind the document")
        return value
    }

    private fun value(depth: Int): JsonValue {
        if (depth > StrictJson.MAX_DEPTH) fail("nested deeper than ${StrictJson.MAX_DEPTH}")
        space()
        return when (peek()) {
            '{' -> members(depth)
            '[' -> items(depth)
            '"' -> JsonString(string())
            't' -> word("true", JsonBoolean(true))
            'f' -> word("false", JsonBoolean(false))
            'n' -> word("null", JsonNull)
            else -> number()
        }
    }

    private fun members(depth: Int): JsonObject {
        val members = LinkedHashMap<String, JsonValue>()
        at++
        space()
        if (take('}')) return JsonObject(members)
        do {
            space()
            if (peek() != '"') fail("a member name in quotes must stand here")
            val start = at
            val name = string()
            if (name in members) throw JsonException("duplicate member \"$name\"", start)
            space()
            if (!take(':')) fail("':' must stand here")
            members[name] = value(depth + 1)
            space()
        } while (take(','))
        if (!take('}')) fail("',' or '}' must stand here")
        return JsonObject(members)
    }

    private fun items(depth: Int): JsonArray {
        val items = ArrayList<JsonValue>()
        at++
        space()
        if (take(']')) return JsonArray(items)
        do {
            items.add(value(depth + 1))
            space()
        } while (take(','))
        if (!take(']')) fail("',' or ']' must stand here")
        return JsonArray(items)
    }

    private fun string(): String {
        val result = strings.read(at)
        at = strings.end
        return result
    }

    private fun number(): JsonNumber {
        val start = at
        take('-')
        if (!take('0')) digits("a value must stand here")
        if (take('.')) digits("a digit must follow the point")
        if (take('e') || take('E')) {
            if (!take('+')) take('-')
            digits("a digit must follow the exponent sign")
        }
        val number = JsonNumber(text.substring(start, at))
        val fits = if (number.isWhole) number.toLongOrNull() != null else number.toDouble().isFinite()
        return if (fits) number else throw JsonException("too large a number", start)
    }

    private fun digits(problem: String) {
        if (peek() !in '0'..'9') fail(problem)
        while (peek() in '0'..'9') at++
    }

    private fun word(word: String, value: JsonValue): JsonValue {
        if (!text.startsWith(word, at)) fail("a value must stand here")
        at += word.length
        return value
    }

    private fun space() {
        while (peek() in SPACE) at++
    }

    private fun take(c: Char): Boolean {
        if (peek() != c) return false
        at++
        return true
    }

    /** The next character; U+0000, which no rule accepts, at the end. */
    private fun peek(): Char = if (at < text.length) text[at] else '\u0000'

    private fun fail(problem: String): Nothing = throw JsonException(problem, at)

    private companion object {
        const val SPACE = " \n\r\t"
    }
}
