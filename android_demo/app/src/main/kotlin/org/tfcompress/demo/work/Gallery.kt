package org.tfcompress.demo.work

import org.tfcompress.demo.Parts
import org.tfcompress.demo.core.engine.CrashGuard
import org.tfcompress.demo.core.engine.EngineException
import org.tfcompress.demo.core.engine.FlagStore
import org.tfcompress.demo.core.manifest.ModelEntry
import org.tfcompress.demo.core.manifest.ModelManifest
import org.tfcompress.demo.core.run.Samples
import org.tfcompress.demo.core.run.SelfTestResult
import org.tfcompress.demo.core.run.UnavailableException
import org.tfcompress.demo.core.run.VariantState
import org.tfcompress.demo.core.security.Integrity
import org.tfcompress.demo.core.security.IntegrityFault
import org.tfcompress.demo.core.security.ManifestFault
import org.tfcompress.demo.core.security.ManifestGate
import org.tfcompress.demo.core.security.ManifestState
import org.tfcompress.demo.core.security.ModelFiles
import org.tfcompress.demo.core.security.PassphraseKey
import org.tfcompress.demo.core.security.SideFileException
import org.tfcompress.demo.core.settings.Settings
import org.tfcompress.demo.data.Keyring

/** What is known about the bundled models. */
sealed interface Shelf {
    data object Loading : Shelf

    /** The manifest can't be trusted, so nothing is run. */
    data class Refused(val fault: ManifestFault, val detail: String) : Shelf

    /** [samples] is null, with the [problem], where the sample images are not the signed ones. */
    data class Open(
        val manifest: ModelManifest,
        val sha256: String,
        val states: Map<String, VariantState>,
        val samples: Samples?,
        val problem: String?
    ) : Shelf
}

/** How an attempt at a passphrase or a self-test ended. */
sealed interface Attempt {
    data object Unlocked : Attempt

    data object WrongPassphrase : Attempt

    /** Another fault than the passphrase. */
    data class Failed(val state: VariantState) : Attempt

    class Tested(val result: SelfTestResult) : Attempt

    data class NotTested(val reason: String) : Attempt
}

/** The bundled models: opens the manifest, keeps the state of each model, unlocks, verifies and tests. */
class Gallery(
    private val parts: Parts,
    private val thread: ModelThread,
    private val keyring: Keyring,
    flags: FlagStore
) {
    private val guard = CrashGuard(flags)
    val shelf = Live<Shelf>(Shelf.Loading)

    /** Of the model thread; null until a trusted manifest is open. */
    var workshop: Workshop? = null
        private set

    /** Reads and checks everything. */
    fun load() = thread.run({ open() }) { shelf.value = it }

    private fun open(): Shelf {
        val found = ManifestGate(parts.key).open(parts.files.bytes("manifest.json"), parts.files.bytes("manifest.sig"))
        return when (found) {
            is ManifestState.Refused -> Shelf.Refused(found.fault, found.detail)
            is ManifestState.Trusted -> open(Workshop(found, parts, keyring, guard).also { workshop = it })
        }
    }

    private fun open(shop: Workshop): Shelf.Open {
        val states = shop.manifest.models.associate { it.id to shop.library.check(it) }
        return try {
            Shelf.Open(shop.manifest, shop.sha256, states, Samples.read(shop.manifest, shop.sideFiles), null)
        } catch (problem: SideFileException) {
            Shelf.Open(shop.manifest, shop.sha256, states, null, problem.message)
        }
    }

    /** Checks a model's file again. */
    fun verify(entry: ModelEntry, done: () -> Unit) = withShop({ shop ->
        shop.close(entry.id)
        shop.library.check(entry)
    }) { state ->
        update(entry, state)
        done()
    }

    /** Tries a passphrase; takes a second or two. */
    fun unlock(entry: ModelEntry, passphrase: String, done: (Attempt) -> Unit) = withShop({ shop ->
        val key = PassphraseKey.derive(passphrase, checkNotNull(entry.encryption))
        when (val found = shop.gate.open(entry, key)) {
            is Integrity.Ready -> {
                found.wipe()
                keyring.put(entry.id, key)
                Attempt.Unlocked
            }

            is Integrity.Refused ->
                if (found.fault == IntegrityFault.WRONG_PASSPHRASE) {
                    Attempt.WrongPassphrase
                } else {
                    Attempt.Failed(VariantState.Refused(found.fault, found.detail))
                }

            Integrity.Locked -> Attempt.WrongPassphrase
        }
    }) { attempt ->
        if (attempt is Attempt.Unlocked) update(entry, VariantState.Ready)
        if (attempt is Attempt.Failed) update(entry, attempt.state)
        done(attempt)
    }

    /** Forgets the key and closes the model, which wipes its decrypted bytes. */
    fun lock(entry: ModelEntry) = withShop({ shop ->
        keyring.remove(entry.id)
        shop.close(entry.id)
    }) { update(entry, VariantState.Locked) }

    /** Runs the golden inputs. */
    fun test(entry: ModelEntry, settings: Settings, done: (Attempt) -> Unit) = withShop({ shop ->
        try {
            Attempt.Tested(shop.selfTest.run(entry, shop.runner.engine(entry, settings.engine)))
        } catch (problem: UnavailableException) {
            Attempt.Failed(problem.state)
        } catch (problem: EngineException) {
            Attempt.NotTested(problem.message.orEmpty())
        } catch (problem: SideFileException) {
            Attempt.NotTested(problem.message.orEmpty())
        }
    }, done)

    /** A run found a model in another state than was known. */
    fun update(entry: ModelEntry, state: VariantState) {
        val now = shelf.value as? Shelf.Open ?: return
        if (now.states[entry.id] != state) shelf.value = now.copy(states = now.states + (entry.id to state))
    }

    private fun <T> withShop(work: (Workshop) -> T, done: (T) -> Unit) =
        thread.run({ workshop?.let(work) }) { it?.let(done) }
}

private fun ModelFiles.bytes(path: String): ByteArray? = read(path)?.let { file ->
    ByteArray(file.remaining()).also { file.get(it) }
}
