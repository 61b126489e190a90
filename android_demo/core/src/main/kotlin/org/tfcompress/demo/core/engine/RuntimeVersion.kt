package org.tfcompress.demo.core.engine

/** A version such as 2.16.1: numbers compared part by part, missing parts are 0, a `-` or `+` tail does not count. */
class RuntimeVersion private constructor(private val parts: List<Int>) : Comparable<RuntimeVersion> {
    constructor(vararg numbers: Int) : this(numbers.toList())

    init {
        require(parts.isNotEmpty() && parts.all { it >= 0 }) { "a version has numbers of 0 or more. Received: $parts" }
    }

    override fun compareTo(other: RuntimeVersion): Int {
        for (i in 0 until maxOf(parts.size, other.parts.size)) {
            val order = (parts.getOrElse(i) { 0 }).compareTo(other.parts.getOrElse(i) { 0 })
            if (order != 0) return order
        }
        return 0
    }

    override fun equals(other: Any?): Boolean = other is RuntimeVersion && compareTo(other) == 0

    override fun hashCode(): Int = parts.dropLastWhile { it == 0 }.hashCode()

    override fun toString(): String = parts.joinToString(".")

    companion object {
        private val FORM = Regex("""\d{1,6}(?:\.\d{1,6}){1,7}(?:[-+].*)?""")
        private val DOT = Regex("\\.")

        /** Reads `2.17`, `2.16.1` or `2.17.0-rc1`; null where the text is no version. */
        fun parse(text: String): RuntimeVersion? =
            if (FORM.matches(text)) RuntimeVersion(DOT.split(numbers(text)).map { it.toInt() }) else null

        private fun numbers(text: String) = text.takeWhile { it != '-' && it != '+' }
    }
}
