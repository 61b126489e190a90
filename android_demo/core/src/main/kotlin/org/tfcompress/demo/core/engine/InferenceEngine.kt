package org.tfcompress.demo.core.engine

import java.nio.ByteBuffer
import org.tfcompress.demo.core.tensor.TensorSpec

/** What is asked for: [threads] and [xnnpack] concern the CPU only. */
data class EngineConfig(
    val accelerator: Accelerator = Accelerator.CPU,
    val threads: Int = 1,
    val xnnpack: Boolean = true
) {
    init {
        require(threads in 1..MAX_THREADS) { "threads must be in 1..$MAX_THREADS. Received: threads=$threads" }
    }

    companion object {
        const val MAX_THREADS = 64

        /** Threads to begin with on a phone of [cores] cores: `min(4, cores)`. */
        fun defaultThreads(cores: Int): Int = cores.coerceIn(1, 4)
    }
}

/** What was asked for and what is used; [reason] says why they differ, [initMicros] how long opening took. */
data class EngineInfo(
    val requested: EngineConfig,
    val actual: Accelerator,
    val reason: String?,
    val initMicros: Double
) {
    /** Whether the accelerator is another one than was asked for. */
    val fellBack: Boolean get() = actual != requested.accelerator
}

/** One loaded model with one input and one output. Not thread-safe: one thread owns it. */
interface InferenceEngine : AutoCloseable {
    val info: EngineInfo

    /** As the runtime reports it, to be compared with the manifest. */
    val input: TensorSpec

    /** As the runtime reports it. */
    val output: TensorSpec

    /** Copies the input in. [input] is direct, in native order and exactly of this tensor's size. */
    fun write(input: ByteBuffer)

    /** Runs once; on gpu and npu it returns when the output can be read. This is the timed region. */
    fun run()

    /** Copies the output out, under the same terms as [write]. */
    fun read(output: ByteBuffer)

    override fun close()
}

/** A model could not be opened or run; the message is fit to be shown. */
class EngineException(message: String, cause: Throwable? = null) : Exception(message, cause)

/**
 * Opens models on one kind of runtime, strictly: where [EngineConfig.accelerator] can't be had,
 * it throws, it never takes another one silently.
 */
interface EngineFactory {
    /** Name and version of the runtime, as in reports. */
    val runtime: RuntimeInfo

    /** Why an accelerator can't be chosen at all on this device and build, or null where it can. */
    fun unavailable(accelerator: Accelerator): String?

    /**
     * Opens a model. [model] is direct and in native order and must stay as it is until the engine
     * is closed. Throws [EngineException].
     */
    fun open(model: ByteBuffer, config: EngineConfig): InferenceEngine
}

/**
 * The inference runtime: `litert` 2.3.0, for instance. [reads] is the TensorFlow release up to which
 * it reads files, which is what `min_runtime` of a file is about: TensorFlow Lite carried those
 * numbers itself, LiteRT counts anew (its 1.0.1 took the place of TensorFlow Lite 2.17).
 */
data class RuntimeInfo(val name: String, val version: RuntimeVersion, val reads: RuntimeVersion = version)
