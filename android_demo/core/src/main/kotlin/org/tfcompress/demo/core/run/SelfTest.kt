package org.tfcompress.demo.core.run

import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.tfcompress.demo.core.engine.Accelerator
import org.tfcompress.demo.core.engine.InferenceEngine
import org.tfcompress.demo.core.engine.answer
import org.tfcompress.demo.core.manifest.ModelEntry
import org.tfcompress.demo.core.security.SideFileException
import org.tfcompress.demo.core.security.SideFiles
import org.tfcompress.demo.core.tensor.DataType
import org.tfcompress.demo.core.tensor.Probabilities
import org.tfcompress.demo.core.tensor.TensorCodec
import org.tfcompress.demo.core.tensor.TensorSpec

/** Largest difference to the golden outputs: in codes for int8, in units of the output for float32. */
class SelfTestResult(val passed: Boolean, val difference: Double, val limit: Double?, val count: Int)

/**
 * Golden input in, golden output out. On a GPU or NPU, which compute in half precision, float
 * outputs only need to name the same classes.
 */
class SelfTest(private val files: SideFiles) {
    /** The golden input number [index], ready to be written to an engine. Throws [SideFileException]. */
    fun input(entry: ModelEntry, index: Int): ByteBuffer =
        part(entry.input, files.read(entry.golden.input), entry, index)

    /** Throws [SideFileException], or what the engine throws. */
    fun run(entry: ModelEntry, engine: InferenceEngine): SelfTestResult {
        val outputs = files.read(entry.golden.output)
        val codec = TensorCodec(entry.output)
        var difference = 0.0
        var sameClasses = true
        for (index in 0 until entry.golden.count) {
            val expected = codec.decode(part(entry.output, outputs, entry, index))
            val found = codec.decode(engine.answer(input(entry, index)))
            difference = maxOf(difference, largest(entry.output, expected, found))
            sameClasses = sameClasses && leader(expected) == leader(found)
        }
        val loose = entry.output.type == DataType.FLOAT32 && engine.info.actual != Accelerator.CPU
        val limit = if (loose) null else entry.golden.maxLsb?.toDouble() ?: entry.golden.maxAbs
        val passed = if (limit == null) sameClasses else difference <= limit
        return SelfTestResult(passed, difference, limit, entry.golden.count)
    }

    private fun largest(spec: TensorSpec, expected: FloatArray, found: FloatArray): Double {
        val unit = spec.quantization?.scale?.toDouble() ?: 1.0
        val most = expected.indices.maxOf { Math.abs(expected[it].toDouble() - found[it]) / unit }
        return if (spec.quantization == null) most else Math.rint(most)
    }

    /** The leading class; null where the values have none. */
    private fun leader(values: FloatArray): Int? {
        if (values.any { it.isNaN() }) return null
        return Probabilities.argmax(DoubleArray(values.size) { values[it].toDouble() })
    }

    /** Golden files are little-endian; buffers are in native order. */
    private fun part(spec: TensorSpec, all: ByteArray, entry: ModelEntry, index: Int): ByteBuffer {
        if (all.size != spec.bytes * entry.golden.count) {
            val wanted = "${entry.golden.count} x ${spec.bytes}"
            throw SideFileException("golden file of ${entry.id}: ${all.size} bytes instead of $wanted")
        }
        val from = ByteBuffer.wrap(all).order(ByteOrder.LITTLE_ENDIAN)
        val into = TensorCodec(spec).newBuffer()
        val base = index * spec.bytes
        for (i in 0 until spec.elements) {
            when (spec.type) {
                DataType.FLOAT32 -> into.putFloat(i * Float.SIZE_BYTES, from.getFloat(base + i * Float.SIZE_BYTES))
                DataType.INT8 -> into.put(i, from.get(base + i))
            }
        }
        return into
    }
}
