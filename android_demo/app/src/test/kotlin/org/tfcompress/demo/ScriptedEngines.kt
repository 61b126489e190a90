package org.tfcompress.demo

import java.nio.ByteBuffer
import org.tfcompress.demo.core.engine.Accelerator
import org.tfcompress.demo.core.engine.EngineConfig
import org.tfcompress.demo.core.engine.EngineException
import org.tfcompress.demo.core.engine.EngineFactory
import org.tfcompress.demo.core.engine.EngineInfo
import org.tfcompress.demo.core.engine.InferenceEngine
import org.tfcompress.demo.core.engine.RuntimeInfo
import org.tfcompress.demo.core.engine.RuntimeVersion
import org.tfcompress.demo.core.manifest.ModelEntry
import org.tfcompress.demo.core.manifest.ModelManifest
import org.tfcompress.demo.core.security.Digests
import org.tfcompress.demo.core.tensor.TensorCodec

/**
 * Answers as the test says, for tests of what the screens do with an answer. Knows a model by the hash
 * of the bytes it gets; what the real models say is tested by verify/app-real.
 */
class ScriptedEngines(private val manifest: ModelManifest) : EngineFactory {
    override val runtime = RuntimeInfo("tensorflow-lite", RuntimeVersion(2, 16, 1))

    /** The digit that all variants see, and others for some of them. */
    var digit = 7
    val others = HashMap<String, Int>()

    /** Models that the runtime can't open. */
    val broken = HashSet<String>()

    /** Why an accelerator is not there; what is not in it is. */
    val missing = hashMapOf(Accelerator.GPU to "No GPU here.", Accelerator.NPU to "No NPU here.")

    /** The first inputs that any model was given. */
    val inputs = ArrayList<ByteArray>()

    /** Time that has passed, in nanoseconds: copying in takes a millisecond, a run a few microseconds. */
    @Volatile
    var nanos = 0L

    /** Called in each run, for tests that hold one up. */
    var running: () -> Unit = {}

    override fun unavailable(accelerator: Accelerator): String? = missing[accelerator]

    override fun open(model: ByteBuffer, config: EngineConfig): InferenceEngine {
        val hash = Digests.sha256(model)
        val entry = manifest.models.first { it.plain.sha256 == hash }
        if (entry.id in broken) throw EngineException("no kernel for this operator")
        missing[config.accelerator]?.let { throw EngineException(it) }
        return Engine(entry, config)
    }

    private inner class Engine(private val entry: ModelEntry, config: EngineConfig) : InferenceEngine {
        override val info = EngineInfo(config, config.accelerator, null, 840.0)
        override val input = entry.input
        override val output = entry.output
        private val answer = TensorCodec(entry.output).newBuffer()

        override fun write(input: ByteBuffer) {
            nanos += 1_000_000
            if (inputs.size < 100) inputs.add(ByteArray(input.capacity()).also { input.duplicate().get(it) })
        }

        override fun run() {
            running()
            nanos += 12_000 + entry.plain.bytes / 2 + nanos / 1_000_000 % 7 * 300
            val seen = others[entry.id] ?: digit
            val logits = FloatArray(10) { if (it == seen) 9f else 6f - Math.abs(it - seen) * 1.1f }
            TensorCodec(output).encode(logits, answer)
        }

        override fun read(output: ByteBuffer) {
            for (i in 0 until answer.capacity()) output.put(i, answer.get(i))
        }

        override fun close() = Unit
    }
}
