package org.tfcompress.demo.core.security

import java.nio.ByteBuffer
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertInstanceOf
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.tfcompress.demo.core.Vectors
import org.tfcompress.demo.core.run.Samples

/** The models folder that is in the app, with the key that is in the app. */
class BundledModelsTest {
    private val files =
        ModelFiles { path ->
            Vectors.assets.resolve(path).takeIf { it.isFile }?.let { ByteBuffer.wrap(it.readBytes()) }
        }
    private val state = ManifestGate(TrustedKey.bundled())
        .open(Vectors.assets.resolve("manifest.json").readBytes(), Vectors.assets.resolve("manifest.sig").readBytes())
    private val manifest = assertInstanceOf(ManifestState.Trusted::class.java, state).manifest

    @Test
    fun `every model is the signed one`() {
        val plain = manifest.models.filter { it.encryption == null }
        assertTrue(plain.size >= 6)
        for (entry in plain) assertInstanceOf(Integrity.Ready::class.java, ModelGate(files).open(entry), entry.id)
    }

    @Test
    fun `the encrypted model opens with the demo passphrase and is its twin`() {
        val entry = manifest.models.single { it.encryption != null }
        assertEquals(Integrity.Locked, ModelGate(files).open(entry))
        val key = PassphraseKey.derive("tfcompress-demo", entry.encryption!!)
        val ready = assertInstanceOf(Integrity.Ready::class.java, ModelGate(files).open(entry, key))
        val twins = manifest.models.filter { it.digest == entry.plain }
        assertEquals(listOf(entry.plain.sha256), twins.map { Digests.sha256(bytes(ready.model)) })
    }

    @Test
    fun `every side file is the signed one, and the samples can be read`() {
        val side = SideFiles(files, manifest)
        for ((path, digest) in manifest.files) assertEquals(digest.bytes, side.read(path).size.toLong())
        val samples = Samples.read(manifest, side)
        assertTrue(samples.items.size >= 20)
        assertEquals(manifest.labels.indices.toSet(), samples.items.map { it.label }.toSet())
    }
}
