package org.tfcompress.demo.core.json

/** Reads string literals out of a JSON text; [end] is the place behind the last one read. */
internal class JsonStrings(private val text: String) {
    var end = 0
        private set

    fun read(start: Int): String {
        val out = StringBuilder()
        var at = start + 1
        while (true) {
            val c = charAt(at)
            when {
                c == '"' -> break

                c < ' ' -> throw JsonException("a control character must be escaped", at)

                c == '\\' -> at = escape(at + 1, out)

                else -> {
                    out.append(c)
                    at++
                }
            }
        }
        end = at + 1
        checkPairs(out, start)
        return out.toString()
    }

    private fun escape(at: Int, out: StringBuilder): Int {
        val c = charAt(at)
        if (c == 'u') {
            out.append(hex(at + 1))
            return at + 1 + HEX_DIGITS
        }
        val which = ESCAPES.indexOf(c)
        if (which < 0) throw JsonException("unknown escape \\$c", at)
        out.append(MEANINGS[which])
        return at + 1
    }

    private fun hex(at: Int): Char {
        var code = 0
        for (i in at until at + HEX_DIGITS) {
            val c = charAt(i)
            val digit = HEX.indexOf(c.lowercaseChar())
            if (c > 'f' || digit < 0) throw JsonException("four hexadecimal digits must follow \\u", i)
            code = code * HEX.length + digit
        }
        return code.toChar()
    }

    private fun charAt(at: Int): Char =
        if (at < text.length) text[at] else throw JsonException("the string does not end", text.length)

    private fun checkPairs(value: CharSequence, start: Int) {
        var i = 0
        while (i < value.length) {
            val c = value[i]
            val paired = c.isHighSurrogate() && i + 1 < value.length && value[i + 1].isLowSurrogate()
            if (c.isSurrogate() &&
                !paired
            ) {
                throw JsonException("the string has half a character (lone surrogate)", start)
            }
            i += if (paired) 2 else 1
        }
    }

    private companion object {
        const val HEX = "0123456789abcdef"
        const val HEX_DIGITS = 4
        const val ESCAPES = "\"\\/bfnrt"
        const val MEANINGS = "\"\\/\b\u000c\n\r\t"
    }
}
