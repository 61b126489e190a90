package org.tfcompress.demo.core.json

/** Writes JSON: two spaces of indent, members in the given order, a line feed at the end. */
object JsonText {
    fun write(value: JsonValue): String = buildString {
        write(value, "\n")
        append('\n')
    }

    private fun StringBuilder.write(value: JsonValue, newline: String) {
        when (value) {
            is JsonObject -> block('{', '}', newline, value.members.entries) { (name, member), inner ->
                quote(name)
                append(": ")
                write(member, inner)
            }

            is JsonArray -> block('[', ']', newline, value.items) { item, inner -> write(item, inner) }

            is JsonString -> quote(value.value)

            is JsonNumber -> append(value.text)

            is JsonBoolean -> append(value.value)

            JsonNull -> append("null")
        }
    }

    private fun <T> StringBuilder.block(
        open: Char,
        close: Char,
        newline: String,
        parts: Collection<T>,
        part: StringBuilder.(T, String) -> Unit
    ) {
        append(open)
        val inner = "$newline  "
        parts.forEachIndexed { i, item ->
            if (i > 0) append(',')
            append(inner)
            part(item, inner)
        }
        if (parts.isNotEmpty()) append(newline)
        append(close)
    }

    private fun StringBuilder.quote(text: String) {
        append('"')
        for (c in text) {
            when {
                c == '"' || c == '\\' -> append('\\').append(c)
                c == '\n' -> append("\\n")
                c < ' ' -> append("\\u").append(c.code.toString(16).padStart(4, '0'))
                else -> append(c)
            }
        }
        append('"')
    }
}

/** Makes a JSON value of null, String, Boolean, Int, Long, a finite Float or Double, Map, List or JsonValue. */
fun jsonOf(value: Any?): JsonValue = when (value) {
    null -> JsonNull

    is JsonValue -> value

    is String -> JsonString(value)

    is Boolean -> JsonBoolean(value)

    is Int, is Long -> JsonNumber(value.toString())

    is Float, is Double -> {
        require((value as Number).toDouble().isFinite()) { "JSON has no such number. Received: $value" }
        JsonNumber(value.toString())
    }

    is Map<*, *> -> JsonObject(value.entries.associate { (name, member) -> name.toString() to jsonOf(member) })

    is List<*> -> JsonArray(value.map(::jsonOf))

    else -> throw IllegalArgumentException("no JSON form. Received: ${value.javaClass.name}")
}

/** `jsonObject("n" to 3)`: members in order, values as [jsonOf] takes them. */
fun jsonObject(vararg members: Pair<String, Any?>): JsonObject =
    JsonObject(members.associate { (name, value) -> name to jsonOf(value) })
