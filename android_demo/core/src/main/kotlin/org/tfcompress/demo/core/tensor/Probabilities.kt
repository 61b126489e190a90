package org.tfcompress.demo.core.tensor

/** From a model's outputs to probabilities and to the classes that lead. */
object Probabilities {
    /** exp(x - max) / sum in double, summed in index order. */
    fun softmax(logits: FloatArray): DoubleArray {
        require(logits.isNotEmpty()) { "softmax: no values" }
        require(logits.all { it.isFinite() }) { "softmax: values must be finite. Received: ${logits.toList()}" }
        val most = logits.max().toDouble()
        val powers = DoubleArray(logits.size) { Math.exp(logits[it] - most) }
        val sum = powers.sum()
        return DoubleArray(logits.size) { powers[it] / sum }
    }

    /** Indices of the [k] largest values, largest first; of equal ones the lower index leads. */
    fun topK(values: DoubleArray, k: Int): List<Int> {
        require(k in 1..values.size) { "topK: k must be in 1..${values.size}. Received: k=$k" }
        return values.indices.sortedByDescending { values[it] }.take(k)
    }

    /** Index of the largest value; of equal ones the lowest. */
    fun argmax(values: DoubleArray): Int = topK(values, 1)[0]
}
