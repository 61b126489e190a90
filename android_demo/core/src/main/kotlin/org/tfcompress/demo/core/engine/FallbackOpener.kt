package org.tfcompress.demo.core.engine

import java.nio.ByteBuffer

/**
 * Asks for an accelerator strictly, and on failure opens on the CPU and says so: the engine's
 * [EngineInfo] names what was requested, what is used and why.
 */
class FallbackOpener(private val factory: EngineFactory, private val guard: CrashGuard) {
    /** Opens a model; throws [EngineException] only where the CPU can't run it either. */
    fun open(model: ByteBuffer, config: EngineConfig): InferenceEngine {
        val wanted = config.accelerator
        if (wanted == Accelerator.CPU) return factory.open(model, config)
        val reason = factory.unavailable(wanted) ?: crashed(wanted) ?: try {
            return guard.guarded(wanted) { factory.open(model, config) }
        } catch (problem: EngineException) {
            problem.message.orEmpty()
        }
        val engine = factory.open(model, config.copy(accelerator = Accelerator.CPU))
        return Instead(engine, engine.info.copy(requested = config, reason = reason))
    }

    private fun crashed(accelerator: Accelerator): String? =
        if (guard.crashedLastTime(accelerator)) "${accelerator.id} did not come back last time" else null

    private class Instead(private val engine: InferenceEngine, override val info: EngineInfo) :
        InferenceEngine by engine
}
