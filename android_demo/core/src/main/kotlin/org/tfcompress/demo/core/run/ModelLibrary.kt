package org.tfcompress.demo.core.run

import java.nio.ByteBuffer
import javax.crypto.SecretKey
import org.tfcompress.demo.core.engine.EngineConfig
import org.tfcompress.demo.core.engine.EngineException
import org.tfcompress.demo.core.engine.FallbackOpener
import org.tfcompress.demo.core.engine.InferenceEngine
import org.tfcompress.demo.core.engine.RuntimeVersion
import org.tfcompress.demo.core.manifest.ModelEntry
import org.tfcompress.demo.core.manifest.ModelManifest
import org.tfcompress.demo.core.security.Integrity
import org.tfcompress.demo.core.security.ModelGate
import org.tfcompress.demo.core.tensor.TensorSpec

/** Keys of encrypted models, from wherever they are kept. */
fun interface KeySource {
    /** The key of a model, or null if its passphrase has not been given. */
    fun key(model: String): SecretKey?
}

/** A variant can't be opened; [state] says why in a form to be shown. */
class UnavailableException(val state: VariantState, cause: Throwable? = null) : Exception(state.toString(), cause)

/**
 * The models of a trusted manifest: what state each is in, and the way to an engine. [reads] is the
 * TensorFlow release up to which the runtime reads files (`RuntimeInfo.reads`).
 */
class ModelLibrary(
    val manifest: ModelManifest,
    private val gate: ModelGate,
    private val reads: RuntimeVersion,
    private val keys: KeySource
) {
    /** Reads and checks the file again; cheap enough for "verify again". */
    fun check(entry: ModelEntry): VariantState = try {
        verified(entry).wipe()
        VariantState.Ready
    } catch (problem: UnavailableException) {
        problem.state
    }

    /** Opens a variant; its bytes are checked each time. Throws [UnavailableException]. */
    fun open(entry: ModelEntry, config: EngineConfig, opener: FallbackOpener): InferenceEngine {
        val ready = verified(entry)
        val engine = try {
            OwnedEngine(opener.open(ready.model, config), ready)
        } catch (problem: EngineException) {
            ready.wipe()
            throw failed(problem.message.orEmpty(), problem)
        }
        val difference = difference(entry.input, engine.input) ?: difference(entry.output, engine.output)
        if (difference != null) {
            engine.close()
            throw failed(difference)
        }
        return engine
    }

    /** The bytes of a variant that may be run here; throws [UnavailableException] for all others. */
    private fun verified(entry: ModelEntry): Integrity.Ready {
        newer(entry)?.let { throw UnavailableException(it) }
        return when (val found = gate.open(entry, keyOf(entry))) {
            is Integrity.Refused -> throw UnavailableException(VariantState.Refused(found.fault, found.detail))
            Integrity.Locked -> throw UnavailableException(VariantState.Locked)
            is Integrity.Ready -> found
        }
    }

    private fun keyOf(entry: ModelEntry) = if (entry.encryption == null) null else keys.key(entry.id)

    private fun newer(entry: ModelEntry): VariantState.NeedsRuntime? =
        entry.minRuntime?.takeIf { it > reads }?.let { VariantState.NeedsRuntime(it, reads) }

    private fun failed(reason: String, cause: Throwable? = null) =
        UnavailableException(VariantState.Failed(reason), cause)

    /** Names differ between runtimes; all else has to be what the manifest says. */
    private fun difference(promised: TensorSpec, found: TensorSpec): String? =
        if (promised == found.copy(name = promised.name)) null else "the file has $found, the manifest says $promised"

    /** Keeps the model's bytes as long as the engine and wipes decrypted ones behind it. */
    private class OwnedEngine(private val engine: InferenceEngine, private val ready: Integrity.Ready) :
        InferenceEngine by engine {
        private var open = true

        override fun write(input: ByteBuffer) {
            check(open) { "the engine is closed" }
            engine.write(input)
        }

        override fun close() {
            if (!open) return
            open = false
            engine.close()
            ready.wipe()
        }
    }
}
