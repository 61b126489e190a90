package org.tfcompress.demo.engine

import android.content.Context
import java.nio.ByteBuffer
import org.tfcompress.demo.R
import org.tfcompress.demo.core.engine.Accelerator
import org.tfcompress.demo.core.engine.EngineConfig
import org.tfcompress.demo.core.engine.EngineException
import org.tfcompress.demo.core.engine.EngineFactory
import org.tfcompress.demo.core.engine.InferenceEngine
import org.tfcompress.demo.core.engine.RuntimeInfo
import org.tfcompress.demo.core.engine.RuntimeVersion

/** Flavour `central`: tensorflow-lite 2.16.1 from Maven Central, on the CPU. */
class FlavourEngines(private val context: Context) : EngineFactory {
    override val runtime = RuntimeInfo("tensorflow-lite", RuntimeVersion(2, 16, 1))

    override fun unavailable(accelerator: Accelerator): String? = when (accelerator) {
        Accelerator.CPU -> null
        else -> context.getString(R.string.cpu_build, accelerator.name)
    }

    override fun open(model: ByteBuffer, config: EngineConfig): InferenceEngine {
        unavailable(config.accelerator)?.let { throw EngineException(it) }
        return InterpreterEngine.open(model, config)
    }
}
