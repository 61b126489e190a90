package org.tfcompress.demo.core.run

import org.tfcompress.demo.core.manifest.Semantic
import org.tfcompress.demo.core.tensor.Probabilities

/** What a model says about one picture. */
class Prediction(val probabilities: DoubleArray) {
    /** The class with the largest probability; of equal ones the first. */
    val label: Int = Probabilities.argmax(probabilities)

    /** Its probability. */
    val confidence: Double get() = probabilities[label]

    companion object {
        /** From the real values of an output. */
        fun of(output: FloatArray, semantic: Semantic): Prediction {
            val values = DoubleArray(output.size) { output[it].toDouble() }
            return Prediction(if (semantic == Semantic.LOGITS) Probabilities.softmax(values) else values)
        }
    }
}
