package org.tfcompress.demo.core

import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.tfcompress.demo.core.engine.Accelerator
import org.tfcompress.demo.core.engine.EngineConfig
import org.tfcompress.demo.core.engine.EngineException
import org.tfcompress.demo.core.engine.EngineFactory
import org.tfcompress.demo.core.engine.EngineInfo
import org.tfcompress.demo.core.engine.InferenceEngine
import org.tfcompress.demo.core.engine.RuntimeInfo
import org.tfcompress.demo.core.engine.RuntimeVersion
import org.tfcompress.demo.core.tensor.DataType
import org.tfcompress.demo.core.tensor.TensorSpec

/** A small runtime: its models are 3 x 4 little-endian floats, the output is their product with the picture. */
class LinearEngine(private val model: ByteBuffer, override val info: EngineInfo, private val error: Float) :
    InferenceEngine {
    override val input = TensorSpec("x", DataType.FLOAT32, listOf(1, 2, 2, 1), null)
    override val output = TensorSpec("y", DataType.FLOAT32, listOf(1, 3), null)
    private val x = FloatArray(4)
    private var y = FloatArray(3)
    var closed = false
        private set

    override fun write(input: ByteBuffer) {
        for (i in x.indices) x[i] = input.getFloat(i * 4)
    }

    override fun run() {
        if (closed) throw EngineException("closed")
        val weights = ByteArray(model.limit()) { model.get(it) }
        y = multiply(weights, x).map { it + error }.toFloatArray()
    }

    override fun read(output: ByteBuffer) {
        for (i in y.indices) output.putFloat(i * 4, y[i])
    }

    override fun close() {
        closed = true
    }

    companion object {
        fun model(rows: List<List<Float>>): ByteArray {
            val all = ByteBuffer.allocate(rows.size * rows[0].size * 4).order(ByteOrder.LITTLE_ENDIAN)
            rows.forEach { row -> row.forEach(all::putFloat) }
            return all.array()
        }

        fun multiply(model: ByteArray, x: FloatArray): FloatArray {
            val weights = ByteBuffer.wrap(model).order(ByteOrder.LITTLE_ENDIAN)
            return FloatArray(model.size / 4 / x.size) { row ->
                var sum = 0f
                for (i in x.indices) sum += weights.getFloat((row * x.size + i) * 4) * x[i]
                sum
            }
        }
    }
}

/** Opens [LinearEngine]s; [missing] accelerators can't be had, the GPU computes with [gpuError] on top. */
class LinearFactory(
    private val missing: Map<Accelerator, String> = emptyMap(),
    private val gpuError: Float = 0f,
    private val refuse: (Accelerator) -> Boolean = { false }
) : EngineFactory {
    val opened = ArrayList<LinearEngine>()
    override val runtime = RuntimeInfo("linear", RuntimeVersion(2, 16, 1))

    override fun unavailable(accelerator: Accelerator): String? = missing[accelerator]

    override fun open(model: ByteBuffer, config: EngineConfig): InferenceEngine {
        if (refuse(config.accelerator)) throw EngineException("${config.accelerator.id} refused the model")
        if (!model.isDirect || model.order() != ByteOrder.nativeOrder()) throw EngineException("not a direct buffer")
        if (model.limit() != 48) throw EngineException("not a model")
        val error = if (config.accelerator == Accelerator.GPU) gpuError else 0f
        return LinearEngine(model, EngineInfo(config, config.accelerator, null, 12.5), error).also(opened::add)
    }
}
