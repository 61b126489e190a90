package org.tfcompress.demo.work

import org.tfcompress.demo.Parts
import org.tfcompress.demo.core.engine.CrashGuard
import org.tfcompress.demo.core.engine.EngineCache
import org.tfcompress.demo.core.engine.FallbackOpener
import org.tfcompress.demo.core.manifest.ModelManifest
import org.tfcompress.demo.core.run.KeySource
import org.tfcompress.demo.core.run.ModelLibrary
import org.tfcompress.demo.core.run.SampleTrial
import org.tfcompress.demo.core.run.SelfTest
import org.tfcompress.demo.core.run.VariantRunner
import org.tfcompress.demo.core.security.ManifestState
import org.tfcompress.demo.core.security.ModelGate
import org.tfcompress.demo.core.security.SideFiles

/** Core's machinery for one trusted manifest. Only the model thread uses it. */
class Workshop(trusted: ManifestState.Trusted, parts: Parts, keys: KeySource, guard: CrashGuard) {
    val manifest: ModelManifest = trusted.manifest
    val sha256: String = trusted.sha256
    val gate = ModelGate(parts.files)
    val library = ModelLibrary(manifest, gate, parts.engines.runtime.reads, keys)
    val opener = FallbackOpener(parts.engines, guard)
    val sideFiles = SideFiles(parts.files, manifest)
    private val cache = EngineCache(2 * manifest.models.size)
    val runner = VariantRunner(library, opener, cache, parts.clock)
    val selfTest = SelfTest(sideFiles)
    val trial = SampleTrial(library, runner)

    /** Closes what is open of a model, so that the next use checks its file again. */
    fun close(model: String) = cache.evict(model)
}
