package org.tfcompress.demo.engine

import java.nio.Buffer
import java.nio.ByteBuffer
import org.tensorflow.lite.DataType as LiteType
import org.tensorflow.lite.Interpreter
import org.tensorflow.lite.Tensor
import org.tfcompress.demo.core.engine.Accelerator
import org.tfcompress.demo.core.engine.EngineConfig
import org.tfcompress.demo.core.engine.EngineException
import org.tfcompress.demo.core.engine.EngineInfo
import org.tfcompress.demo.core.engine.InferenceEngine
import org.tfcompress.demo.core.tensor.DataType
import org.tfcompress.demo.core.tensor.Quantization
import org.tfcompress.demo.core.tensor.TensorCodec
import org.tfcompress.demo.core.tensor.TensorSpec

/**
 * A model on the CPU through `org.tensorflow.lite.Interpreter`, with the part of its interface that
 * tensorflow-lite 2.16.1 and LiteRT 2.x share: both flavours use this file.
 */
class InterpreterEngine private constructor(private val interpreter: Interpreter, config: EngineConfig, started: Long) :
    InferenceEngine {
    override val input: TensorSpec = interpreter.getInputTensor(0).spec()
    override val output: TensorSpec = interpreter.getOutputTensor(0).spec()
    private val inputs = TensorCodec(input).newBuffer()
    private val outputs = TensorCodec(output).newBuffer()
    override val info = EngineInfo(config, Accelerator.CPU, null, (System.nanoTime() - started) / 1000.0)

    override fun write(input: ByteBuffer) = copy(input, inputs)

    override fun run() {
        inputs.toStart()
        outputs.toStart()
        interpreter.run(inputs, outputs)
    }

    override fun read(output: ByteBuffer) = copy(outputs, output)

    override fun close() = interpreter.close()

    companion object {
        /** Opens [model] (direct, native order); whatever the runtime throws becomes an [EngineException]. */
        fun open(model: ByteBuffer, config: EngineConfig): InterpreterEngine {
            val started = System.nanoTime()
            val options = Interpreter.Options().setNumThreads(config.threads).setUseXNNPACK(config.xnnpack)
            return speaking { InterpreterEngine(Interpreter(model, options), config, started) }
        }
    }
}

/** Runs [block]; what a native library throws becomes an [EngineException] with its words. */
internal fun <T> speaking(block: () -> T): T = try {
    block()
} catch (problem: IllegalArgumentException) {
    throw EngineException(problem.message.orEmpty(), problem)
} catch (problem: IllegalStateException) {
    throw EngineException(problem.message.orEmpty(), problem)
} catch (problem: LinkageError) {
    throw EngineException("no native library for this processor: ${problem.message}", problem)
}

/** Copies all of [from] over all of [to]; leaves both at 0. */
internal fun copy(from: ByteBuffer, to: ByteBuffer) {
    from.toStart()
    to.toStart()
    to.put(from)
    from.toStart()
    to.toStart()
}

// Before API 28 rewind() exists in Buffer only: called on a ByteBuffer it would compile to a method old devices lack.
private fun Buffer.toStart() {
    rewind()
}

private fun Tensor.spec(): TensorSpec {
    val type = when (val found = dataType()) {
        LiteType.FLOAT32 -> DataType.FLOAT32
        LiteType.INT8 -> DataType.INT8
        else -> throw IllegalArgumentException("the app takes float32 and int8. This model has: $found")
    }
    val params = quantizationParams()
    val codes = if (type == DataType.INT8) Quantization(params.scale, params.zeroPoint) else null
    return TensorSpec(name(), type, shape().toList(), codes)
}
