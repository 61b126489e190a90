package org.tfcompress.demo.engine

import java.nio.ByteBuffer
import java.util.concurrent.Executor
import org.tfcompress.demo.core.engine.Accelerator
import org.tfcompress.demo.core.engine.EngineConfig
import org.tfcompress.demo.core.engine.EngineFactory
import org.tfcompress.demo.core.engine.InferenceEngine
import org.tfcompress.demo.core.engine.TimedOpening

/** Opens on the CPU at once, on anything else with patience that ends: drivers of GPUs are known to hang. */
class PatientEngines(private val engines: EngineFactory, executor: Executor, millis: Long = 15_000) :
    EngineFactory by engines {
    private val timed = TimedOpening(executor, millis)

    override fun open(model: ByteBuffer, config: EngineConfig): InferenceEngine =
        if (config.accelerator == Accelerator.CPU) {
            engines.open(model, config)
        } else {
            timed.open { engines.open(model, config) }
        }
}
