package org.tfcompress.demo.core.tensor

/** From a model's outputs to probabilities and to the classes that lead. */
object Probabilities {
    /** exp(x - max) / sum in double, summed in index order. */
    fun softmax(logits: DoubleArray): DoubleArray {
        require(logits.isNotEmpty()) { "softmax: no values" }
        require(logits.all { it.isFinite() }) { "softmax: values must be finite. Received: ${logits.toList()}" }
        val most = logits.max()
        val powers = DoubleArray(logits.size) { Math.exp(logits[it] - most) }
        val sum = powers.sum()
        return DoubleArray(logits.size) { powers[it] / sum }
    }

    /** Indices of the [k] largest values, largest first; of equal ones the lower index leads. */
    fun topK(values: DoubleArray, k: Int): List<Int> {
        require(k in 1..values.size) { "topK: k must be in 1..${values.size}. Received: k=$k" }
        require(values.none { it.isNaN() }) { "topK: NaN has no rank" }
        // Compared as numbers: the order of Double objects would put -0.0 below 0.0.
        val falling = Comparator<Int> { a, b ->
            if (values[a] > values[b]) {
                -1
            } else if (values[a] < values[b]) {
                1
            } else {
                0
            }
        }
        return values.indices.sortedWith(falling).take(k)
    }

    /** Index of the largest value; of equal ones the lowest. */
    fun argmax(values: DoubleArray): Int = topK(values, 1)[0]
}
