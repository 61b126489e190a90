package org.tfcompress.demo.host

import com.sun.jna.Memory
import com.sun.jna.Native
import com.sun.jna.NativeLibrary
import com.sun.jna.Pointer
import com.sun.jna.ptr.IntByReference
import java.nio.ByteBuffer
import org.tfcompress.demo.core.engine.Accelerator
import org.tfcompress.demo.core.engine.EngineConfig
import org.tfcompress.demo.core.engine.EngineException
import org.tfcompress.demo.core.engine.EngineInfo
import org.tfcompress.demo.core.engine.InferenceEngine
import org.tfcompress.demo.core.tensor.DataType
import org.tfcompress.demo.core.tensor.Quantization
import org.tfcompress.demo.core.tensor.TensorSpec

/** One model with one input and one output, compiled by LiteRT for the CPU. */
internal class LiteRtJnaEngine(
    private val c: LiteRtC,
    private val env: Pointer,
    data: ByteBuffer,
    config: EngineConfig
) : InferenceEngine {
    /** What [close] has to undo, last thing first. */
    private val undo = ArrayDeque<() -> Unit>()
    private val compiled: Pointer
    private val inputBuffer: Pointer
    private val outputBuffer: Pointer
    override val input: TensorSpec
    override val output: TensorSpec
    override val info: EngineInfo

    init {
        val start = System.nanoTime()
        try {
            val model = model(data)
            val options = options(config.threads)
            compiled = pointer("compiled model") { c.LiteRtCreateCompiledModel(env, model, options, it) }
            undo.addFirst { c.LiteRtDestroyCompiledModel(compiled) }
            val signature = pointer("signature") { c.LiteRtGetModelSignature(model, 0, it) }
            val from = pointer("input") { c.LiteRtGetSignatureInputTensorByIndex(signature, 0, it) }
            val to = pointer("output") { c.LiteRtGetSignatureOutputTensorByIndex(signature, 0, it) }
            input = spec("input", from)
            output = spec("output", to)
            val takes = pointer("input needs") { c.LiteRtGetCompiledModelInputBufferRequirements(compiled, 0, 0, it) }
            val gives = pointer("output needs") { c.LiteRtGetCompiledModelOutputBufferRequirements(compiled, 0, 0, it) }
            inputBuffer = buffer(from, takes)
            outputBuffer = buffer(to, gives)
        } catch (problem: EngineException) {
            close()
            throw problem
        } catch (problem: IllegalArgumentException) {
            close()
            throw EngineException("the app can't take this model: ${problem.message}", problem)
        }
        info = EngineInfo(config, Accelerator.CPU, null, (System.nanoTime() - start) / NANOS_PER_MICRO)
    }

    private fun model(data: ByteBuffer): Pointer {
        // The runtime does not copy the bytes: `data` lives as long as this engine, as its factory demands.
        val bytes = Native.getDirectBufferPointer(data)
        val model = pointer("model") { c.LiteRtCreateModelFromBuffer(env, bytes, data.limit().toLong(), it) }
        undo.addFirst { c.LiteRtDestroyModel(model) }
        return model
    }

    private fun options(threads: Int): Pointer {
        val options = pointer("options") { c.LiteRtCreateOptions(it) }
        undo.addFirst { c.LiteRtDestroyOptions(options) }
        ok(c.LiteRtSetOptionsHardwareAccelerators(options, CPU), "accelerator")
        val payload = Pointer(Native.malloc(PAYLOAD_BYTES))
        payload.setString(0, "num_threads = $threads\n")
        // Without a destructor the call fails.
        val free = NativeLibrary.getInstance("c").getFunction("free")
        val opaque = pointer("cpu options") { c.LiteRtCreateOpaqueOptions("xnnpack", payload, free, it) }
        ok(c.LiteRtAddOpaqueOptions(options, opaque), "add cpu options")
        return options
    }

    private fun type(tensor: Pointer): Memory {
        val type = Memory(TENSOR_TYPE_BYTES)
        type.clear()
        ok(c.LiteRtGetRankedTensorType(tensor, type), "tensor type")
        return type
    }

    private fun spec(name: String, tensor: Pointer): TensorSpec {
        val type = type(tensor)
        val shape = type.getIntArray(DIMENSIONS_AT, type.getInt(RANK_AT) and RANK_MASK).toList()
        val element = when (val code = type.getInt(0)) {
            FLOAT32 -> DataType.FLOAT32
            INT8 -> DataType.INT8
            else -> throw EngineException("$name has an element type that the app does not take ($code)")
        }
        return TensorSpec(name, element, shape, quantization(tensor))
    }

    private fun quantization(tensor: Pointer): Quantization? {
        val kind = IntByReference()
        ok(c.LiteRtGetQuantizationTypeId(tensor, kind), "quantization kind")
        if (kind.value != PER_TENSOR) return null
        val q = Memory(QUANTIZATION_BYTES)
        ok(c.LiteRtGetPerTensorQuantization(tensor, q), "quantization")
        return Quantization(q.getFloat(0), Math.toIntExact(q.getLong(ZERO_POINT_AT)))
    }

    private fun buffer(tensor: Pointer, needs: Pointer): Pointer {
        val type = type(tensor)
        val buffer = pointer("buffer") { c.LiteRtCreateManagedTensorBufferFromRequirements(env, type, needs, it) }
        undo.addFirst { c.LiteRtDestroyTensorBuffer(buffer) }
        return buffer
    }

    override fun write(input: ByteBuffer) {
        val to = pointer("lock input") { c.LiteRtLockTensorBuffer(inputBuffer, it, WRITE) }
        to.getByteBuffer(0, this.input.bytes.toLong()).put(whole(input, this.input))
        ok(c.LiteRtUnlockTensorBuffer(inputBuffer), "unlock input")
    }

    override fun run() =
        ok(c.LiteRtRunCompiledModel(compiled, 0, 1, arrayOf(inputBuffer), 1, arrayOf(outputBuffer)), "run")

    override fun read(output: ByteBuffer) {
        val from = pointer("lock output") { c.LiteRtLockTensorBuffer(outputBuffer, it, READ) }
        whole(output, this.output).put(from.getByteBuffer(0, this.output.bytes.toLong()))
        ok(c.LiteRtUnlockTensorBuffer(outputBuffer), "unlock output")
    }

    private fun whole(buffer: ByteBuffer, spec: TensorSpec): ByteBuffer {
        if (buffer.capacity() != spec.bytes) {
            throw EngineException("${spec.name} is ${spec.bytes} bytes. Received: ${buffer.capacity()}")
        }
        return buffer.duplicate().clear()
    }

    override fun close() {
        while (undo.isNotEmpty()) undo.removeFirst()()
    }

    private companion object {
        const val NANOS_PER_MICRO = 1000.0

        // litert_common.h, litert_layout.h, litert_model_types.h
        const val CPU = 1
        const val READ = 0
        const val WRITE = 1
        const val FLOAT32 = 1
        const val INT8 = 9
        const val PER_TENSOR = 1
        const val TENSOR_TYPE_BYTES = 72L
        const val RANK_AT = 4L
        const val RANK_MASK = 0x7f
        const val DIMENSIONS_AT = 8L
        const val QUANTIZATION_BYTES = 16L
        const val ZERO_POINT_AT = 8L
        const val PAYLOAD_BYTES = 64L
    }
}
