package org.tfcompress.demo.host

import java.io.File
import java.nio.ByteBuffer
import org.tfcompress.demo.core.engine.CrashGuard
import org.tfcompress.demo.core.engine.EngineConfig
import org.tfcompress.demo.core.engine.FallbackOpener
import org.tfcompress.demo.core.engine.FlagStore
import org.tfcompress.demo.core.engine.InferenceEngine
import org.tfcompress.demo.core.engine.RuntimeVersion
import org.tfcompress.demo.core.manifest.ModelEntry
import org.tfcompress.demo.core.run.ModelLibrary
import org.tfcompress.demo.core.security.ManifestGate
import org.tfcompress.demo.core.security.ManifestState
import org.tfcompress.demo.core.security.ModelFiles
import org.tfcompress.demo.core.security.ModelGate
import org.tfcompress.demo.core.security.PassphraseKey
import org.tfcompress.demo.core.security.SideFiles
import org.tfcompress.demo.core.security.TrustedKey

/** The app's models folder, opened as the app opens it, with the real runtime of this machine. */
object Bundle {
    private val demo = File(System.getProperty("demo.dir"))
    private val assets = File(demo, "app/src/main/assets/models")
    private val files =
        ModelFiles { path -> File(assets, path).takeIf { it.isFile }?.let { ByteBuffer.wrap(it.readBytes()) } }
    private val state = ManifestGate(TrustedKey.bundled())
        .open(File(assets, "manifest.json").readBytes(), File(assets, "manifest.sig").readBytes())
    val trusted = state as? ManifestState.Trusted ?: error("the bundled manifest is refused: $state")
    val manifest = trusted.manifest
    val side = SideFiles(files, manifest)

    /** Where Python's answers lie. */
    val parity = File(System.getProperty("parity.dir"))

    /** Pictures and answers that both test suites share. */
    val vectors = File(demo, "../tests/android/vectors/parity")

    val factory = LiteRtJnaFactory(
        System.getProperty("litert.lib"),
        checkNotNull(RuntimeVersion.parse(System.getProperty("litert.version")))
    )
    private val key by lazy {
        PassphraseKey.derive("tfcompress-demo", manifest.models.firstNotNullOf { it.encryption })
    }
    val library = ModelLibrary(manifest, ModelGate(files), factory.runtime.reads) { key }
    val opener = FallbackOpener(factory, CrashGuard(NoFlags))

    fun open(entry: ModelEntry, threads: Int = 1): InferenceEngine =
        library.open(entry, EngineConfig(threads = threads), opener)

    private object NoFlags : FlagStore {
        override fun isSet(name: String) = false

        override fun set(name: String, value: Boolean) = error("a host has no accelerator to guard: $name")
    }
}
