package com.google.ai.edge.litert

import android.content.Context
import android.content.res.AssetManager

/*
 * The part of com.google.ai.edge.litert:litert:2.3.0 that the litert flavour calls, signatures only, written from
 * the library's published sources. To be compared with the AAR whenever its version in libs.versions.toml changes.
 */

private fun none(): Nothing = throw UnsupportedOperationException("signatures only")

enum class Accelerator { NONE, CPU, GPU, NPU }

class LiteRtException(code: Int, message: String) : Exception("$message ($code)")

abstract class JniHandle : AutoCloseable {
    override fun close(): Unit = none()
}

interface NpuAcceleratorProvider

@Suppress("UNUSED_PARAMETER")
class BuiltinNpuAcceleratorProvider(context: Context) : NpuAcceleratorProvider

class Environment private constructor() : JniHandle() {
    fun getAvailableAccelerators(): Set<Accelerator> = none()

    enum class Option { CompilerPluginLibraryDir, DispatchLibraryDir }

    @Suppress("UNUSED_PARAMETER")
    companion object {
        fun create(
            context: Context,
            npuAcceleratorProvider: NpuAcceleratorProvider,
            options: Map<Option, String> = mapOf(),
            enableCompilerCache: Boolean = true
        ): Environment = none()
    }
}

@Suppress("UNUSED_PARAMETER")
class TensorBuffer private constructor() : JniHandle() {
    fun writeFloat(data: FloatArray): Unit = none()

    fun writeInt8(data: ByteArray): Unit = none()

    fun readFloat(): FloatArray = none()

    fun readInt8(): ByteArray = none()
}

@Suppress("UNUSED_PARAMETER")
class CompiledModel private constructor() : JniHandle() {
    class Options(vararg accelerators: Accelerator)

    fun createInputBuffers(signatureIndex: Int = 0): List<TensorBuffer> = none()

    fun createOutputBuffers(signatureIndex: Int = 0): List<TensorBuffer> = none()

    fun run(inputs: List<TensorBuffer>, outputs: List<TensorBuffer>, signatureIndex: Int = 0): Unit = none()

    companion object {
        fun create(
            assetManager: AssetManager,
            assetName: String,
            options: Options,
            optionalEnv: Environment? = null
        ): CompiledModel = none()
    }
}
