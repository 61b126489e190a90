package org.tfcompress.demo.core.run

import org.tfcompress.demo.core.engine.EngineException
import org.tfcompress.demo.core.engine.InferenceEngine
import org.tfcompress.demo.core.image.GrayImage
import org.tfcompress.demo.core.image.Normalization
import org.tfcompress.demo.core.manifest.InputRules
import org.tfcompress.demo.core.manifest.ModelEntry
import org.tfcompress.demo.core.tensor.TensorCodec

/** A prediction and how long the run alone took. */
class TimedPrediction(val prediction: Prediction, val micros: Double)

/** One variant from a 28 x 28 picture to a prediction. Buffers are made once and used again. */
class ImageClassifier(private val entry: ModelEntry, rules: InputRules, private val clock: Clock) {
    private val normalization = Normalization(rules)
    private val inputCodec = TensorCodec(entry.input)
    private val outputCodec = TensorCodec(entry.output)
    private val input = inputCodec.newBuffer()
    private val output = outputCodec.newBuffer()

    /** Throws [EngineException] where the engine fails or answers with infinities or NaN. */
    fun classify(engine: InferenceEngine, image: GrayImage): TimedPrediction {
        val micros = run(engine, image)
        val values = outputCodec.decode(output)
        // Half precision can overflow on an accelerator; such an answer must not pass for one.
        if (!values.all { it.isFinite() }) throw EngineException("the output is not finite: ${values.toList()}")
        return TimedPrediction(Prediction.of(values, entry.semantic), micros)
    }

    /** The output as the model wrote it: codes for int8, floats in native order for float32. */
    fun rawOutput(engine: InferenceEngine, image: GrayImage): ByteArray {
        run(engine, image)
        val raw = ByteArray(output.capacity())
        output.duplicate().get(raw)
        return raw
    }

    private fun run(engine: InferenceEngine, image: GrayImage): Double {
        inputCodec.encode(normalization.apply(image), input)
        engine.write(input)
        val start = clock.nanos()
        engine.run()
        val micros = (clock.nanos() - start) / NANOS_PER_MICRO
        engine.read(output)
        return micros
    }

    private companion object {
        const val NANOS_PER_MICRO = 1000.0
    }
}
