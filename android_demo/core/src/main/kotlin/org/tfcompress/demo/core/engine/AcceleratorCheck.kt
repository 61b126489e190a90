package org.tfcompress.demo.core.engine

import java.nio.ByteBuffer
import org.tfcompress.demo.core.tensor.DataType

/**
 * Doubts an accelerator that computes exactly what the CPU does: GPUs and NPUs round float32
 * differently, so equal bits mean that the model probably never left the CPU.
 */
object AcceleratorCheck {
    /** Whether [engine], which claims to be off the CPU, answers [input] bit for bit as [cpu] does. */
    fun probablyOnCpu(engine: InferenceEngine, cpu: InferenceEngine, input: ByteBuffer): Boolean {
        if (engine.info.actual == Accelerator.CPU || engine.output.type != DataType.FLOAT32) return false
        return engine.answer(input) == cpu.answer(input)
    }
}
