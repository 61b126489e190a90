package org.tfcompress.demo.core.engine

/** A version such as 2.16.1; anything behind a `-` or `+` is not compared. */
data class RuntimeVersion(val major: Int, val minor: Int, val patch: Int) : Comparable<RuntimeVersion> {
    override fun compareTo(other: RuntimeVersion): Int =
        compareValuesBy(this, other, RuntimeVersion::major, RuntimeVersion::minor, RuntimeVersion::patch)

    override fun toString(): String = "$major.$minor.$patch"

    companion object {
        private val FORM = Regex("""(\d{1,6})\.(\d{1,6})(?:\.(\d{1,6}))?(?:[-+].*)?""")

        /** Reads `2.17`, `2.16.1` or `2.17.0-rc1`; null where the text is no version. */
        fun parse(text: String): RuntimeVersion? {
            val (major, minor, patch) = FORM.matchEntire(text)?.destructured ?: return null
            return RuntimeVersion(major.toInt(), minor.toInt(), patch.ifEmpty { "0" }.toInt())
        }
    }
}
