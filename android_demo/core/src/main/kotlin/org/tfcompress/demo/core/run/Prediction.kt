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
        /** From the real values of an output; probabilities that rounding left outside of 0..1 are brought back. */
        fun of(output: FloatArray, semantic: Semantic): Prediction {
            val values = DoubleArray(output.size) { output[it].toDouble() }
            return when (semantic) {
                Semantic.LOGITS -> Prediction(Probabilities.softmax(values))
                Semantic.PROBABILITIES -> Prediction(DoubleArray(values.size) { values[it].coerceIn(0.0, 1.0) })
            }
        }
    }
}
