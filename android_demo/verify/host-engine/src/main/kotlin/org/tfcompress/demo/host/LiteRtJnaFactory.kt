package org.tfcompress.demo.host

import com.sun.jna.Native
import java.nio.ByteBuffer
import org.tfcompress.demo.core.engine.Accelerator
import org.tfcompress.demo.core.engine.EngineConfig
import org.tfcompress.demo.core.engine.EngineException
import org.tfcompress.demo.core.engine.EngineFactory
import org.tfcompress.demo.core.engine.InferenceEngine
import org.tfcompress.demo.core.engine.RuntimeInfo
import org.tfcompress.demo.core.engine.RuntimeVersion

/**
 * LiteRT on this machine's CPU, through the C library inside the Python wheel `ai-edge-litert`: the
 * same runtime that the app's `litert` flavour bundles. [library] is the path of `libLiteRt.so`,
 * [version] that of the wheel, [reads] the TensorFlow release whose files it reads.
 */
class LiteRtJnaFactory(library: String, version: RuntimeVersion, reads: RuntimeVersion = READS) : EngineFactory {
    private val c: LiteRtC = Native.load(library, LiteRtC::class.java)
    private val env = pointer("environment") { c.LiteRtCreateEnvironment(0, null, it) }

    override val runtime = RuntimeInfo("litert", version, reads)

    override fun unavailable(accelerator: Accelerator): String? =
        if (accelerator == Accelerator.CPU) null else "a host has no ${accelerator.id} for LiteRT"

    override fun open(model: ByteBuffer, config: EngineConfig): InferenceEngine {
        unavailable(config.accelerator)?.let { throw EngineException(it) }
        if (!config.xnnpack) throw EngineException("LiteRT's C library has no switch for XNNPACK")
        return LiteRtJnaEngine(c, env, model, config)
    }

    companion object {
        /** The release whose converter made the bundled models, all of which this runtime ran. */
        val READS = RuntimeVersion(2, 21, 0)
    }
}
