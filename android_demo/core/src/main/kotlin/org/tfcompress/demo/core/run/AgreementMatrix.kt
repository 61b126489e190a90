package org.tfcompress.demo.core.run

/** How often each two variants name the same class; the counts behind the ticks on the screen. */
class AgreementMatrix(private val answers: Map<String, List<Int>>) {
    /** The variants, in the given order. */
    val names: List<String> = answers.keys.toList()

    /** Number of pictures. */
    val samples: Int = answers.values.firstOrNull()?.size ?: 0

    init {
        require(answers.values.all { it.size == samples }) {
            "all variants must have answered the same pictures. Received: ${answers.mapValues { it.value.size }}"
        }
    }

    /** Fraction of pictures, 0..1, on which two variants agree; null where there is no picture. */
    fun fraction(a: String, b: String): Double? {
        val left = answers.getValue(a)
        val right = answers.getValue(b)
        return share(left.indices.count { left[it] == right[it] })
    }

    /** Fraction of pictures on which a variant names the true class. */
    fun accuracy(name: String, truth: List<Int>): Double? {
        val given = answers.getValue(name)
        require(truth.size == given.size) { "one true class per picture. Received: ${truth.size} for ${given.size}" }
        return share(given.indices.count { given[it] == truth[it] })
    }

    /** Numbers of the pictures on which not all variants agree. */
    fun disputed(): List<Int> = (0 until samples).filter { i -> answers.values.map { it[i] }.distinct().size > 1 }

    private fun share(count: Int): Double? = if (samples == 0) null else count.toDouble() / samples
}
