package org.tfcompress.demo.core.json

/** A parsed JSON document. Numbers keep their text, so that no digit of an integer is lost. */
sealed interface JsonValue

/** Members in the order of the text; names are unique. */
data class JsonObject(val members: Map<String, JsonValue>) : JsonValue

/** Items in order. */
data class JsonArray(val items: List<JsonValue>) : JsonValue

/** A string, escapes resolved. */
data class JsonString(val value: String) : JsonValue

/** A number as it was written. */
data class JsonNumber(val text: String) : JsonValue {
    /** Whether it is written without fraction and exponent. */
    val isWhole: Boolean get() = text.none { it == '.' || it == 'e' || it == 'E' }

    /** The nearest double; [StrictJson] refuses numbers for which that is infinite. */
    fun toDouble(): Double = text.toDouble()

    /** The whole number, null if it has a fraction or exponent or does not fit in 64 bits. */
    fun toLongOrNull(): Long? = text.toLongOrNull()
}

/** `true` or `false`. */
data class JsonBoolean(val value: Boolean) : JsonValue

/** `null`. */
data object JsonNull : JsonValue

/** The text is not JSON as this app accepts it; [offset] counts characters from 0. */
class JsonException(val problem: String, val offset: Int) : Exception("JSON, character $offset: $problem")
