package org.tfcompress.demo.engine

import android.content.Context
import com.google.ai.edge.litert.Accelerator as LiteAccelerator
import com.google.ai.edge.litert.BuiltinNpuAcceleratorProvider
import com.google.ai.edge.litert.CompiledModel
import com.google.ai.edge.litert.Environment
import com.google.ai.edge.litert.LiteRtException
import com.google.ai.edge.litert.TensorBuffer
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.security.MessageDigest
import org.tfcompress.demo.R
import org.tfcompress.demo.core.engine.Accelerator
import org.tfcompress.demo.core.engine.AcceleratorCheck
import org.tfcompress.demo.core.engine.EngineConfig
import org.tfcompress.demo.core.engine.EngineException
import org.tfcompress.demo.core.engine.EngineFactory
import org.tfcompress.demo.core.engine.EngineInfo
import org.tfcompress.demo.core.engine.InferenceEngine
import org.tfcompress.demo.core.engine.RuntimeInfo
import org.tfcompress.demo.core.engine.RuntimeVersion
import org.tfcompress.demo.core.tensor.DataType
import org.tfcompress.demo.core.tensor.TensorCodec
import org.tfcompress.demo.core.tensor.TensorSpec

/**
 * Flavour `litert`: LiteRT 2.3.0. The CPU goes through the Interpreter, GPU and NPU through
 * CompiledModel, asked for alone so that the runtime can't fall back silently. The only file that
 * names com.google.ai.edge.litert: where its AAR can't be had it is compiled against signatures.
 */
class FlavourEngines(private val context: Context) : EngineFactory {
    // LiteRT counts its versions anew; files name the TensorFlow release that they need.
    override val runtime = RuntimeInfo("litert", RuntimeVersion(2, 3, 0), reads = RuntimeVersion(2, 21, 0))

    // One for the process: each environment holds native resources that are not given back.
    private val environment by lazy { Environment.create(context, BuiltinNpuAcceleratorProvider(context)) }
    private val found by lazy { environment.getAvailableAccelerators() }

    override fun unavailable(accelerator: Accelerator): String? {
        if (accelerator == Accelerator.CPU) return null
        return try {
            val here = speaking { native(accelerator) in found }
            if (here) null else context.getString(R.string.not_on_device, accelerator.name)
        } catch (problem: EngineException) {
            problem.message
        } catch (problem: LiteRtException) {
            problem.message
        }
    }

    override fun open(model: ByteBuffer, config: EngineConfig): InferenceEngine {
        val cpu = InterpreterEngine.open(model, config.copy(accelerator = Accelerator.CPU))
        if (config.accelerator == Accelerator.CPU) return cpu
        return cpu.use { compiled(model, config, it) }
    }

    /** [cpu] knows the tensors, which CompiledModel does not tell, and is what the answer is held against. */
    private fun compiled(model: ByteBuffer, config: EngineConfig, cpu: InferenceEngine): InferenceEngine {
        val started = System.nanoTime()
        val engine = try {
            val options = CompiledModel.Options(native(config.accelerator))
            val compiled = speaking { CompiledModel.create(context.assets, asset(model), options, environment) }
            CompiledModelEngine(compiled, config, cpu.input, cpu.output, started)
        } catch (problem: LiteRtException) {
            throw EngineException(problem.message.orEmpty(), problem)
        }
        val ramp = TensorCodec(cpu.input).newBuffer()
        TensorCodec(cpu.input).encode(FloatArray(cpu.input.elements) { it % RAMP / RAMP.toFloat() }, ramp)
        if (AcceleratorCheck.probablyOnCpu(engine, cpu, ramp)) {
            engine.close()
            throw EngineException(context.getString(R.string.same_as_cpu))
        }
        return engine
    }

    /** CompiledModel reads files only. A decrypted model has none and is never written to one. */
    private fun asset(model: ByteBuffer): String {
        val wanted = digest(model.duplicate())
        return context.assets.list(FOLDER).orEmpty().map { "$FOLDER/$it" }.filter { it.endsWith(".tflite") }
            .firstOrNull { name ->
                context.assets.open(name).use { digest(ByteBuffer.wrap(it.readBytes())) }.contentEquals(wanted)
            } ?: throw EngineException(context.getString(R.string.no_plain_file))
    }

    private fun digest(bytes: ByteBuffer): ByteArray =
        MessageDigest.getInstance("SHA-256").apply { update(bytes) }.digest()

    private fun native(accelerator: Accelerator) = when (accelerator) {
        Accelerator.CPU -> LiteAccelerator.CPU
        Accelerator.GPU -> LiteAccelerator.GPU
        Accelerator.NPU -> LiteAccelerator.NPU
    }

    private companion object {
        const val FOLDER = "models"
        const val RAMP = 97
    }
}

private class CompiledModelEngine(
    private val compiled: CompiledModel,
    config: EngineConfig,
    override val input: TensorSpec,
    override val output: TensorSpec,
    started: Long
) : InferenceEngine {
    private val inputs: List<TensorBuffer> = compiled.createInputBuffers()
    private val outputs: List<TensorBuffer> = compiled.createOutputBuffers()
    private var floats = FloatArray(0)
    private var bytes = ByteArray(0)
    override val info = EngineInfo(config, config.accelerator, null, (System.nanoTime() - started) / 1000.0)

    override fun write(input: ByteBuffer) {
        val from = input.duplicate().order(ByteOrder.nativeOrder())
        when (this.input.type) {
            DataType.FLOAT32 -> inputs[0].writeFloat(FloatArray(this.input.elements) { from.getFloat(4 * it) })
            DataType.INT8 -> inputs[0].writeInt8(ByteArray(this.input.elements) { from.get(it) })
        }
    }

    /** run() may return before the GPU is done: reading the answer back is part of the time. */
    override fun run() {
        compiled.run(inputs, outputs)
        when (output.type) {
            DataType.FLOAT32 -> floats = outputs[0].readFloat()
            DataType.INT8 -> bytes = outputs[0].readInt8()
        }
    }

    override fun read(output: ByteBuffer) {
        when (this.output.type) {
            DataType.FLOAT32 -> floats.forEachIndexed { i, value -> output.putFloat(4 * i, value) }
            DataType.INT8 -> bytes.forEachIndexed { i, value -> output.put(i, value) }
        }
    }

    override fun close() {
        inputs.forEach(TensorBuffer::close)
        outputs.forEach(TensorBuffer::close)
        compiled.close()
    }
}
