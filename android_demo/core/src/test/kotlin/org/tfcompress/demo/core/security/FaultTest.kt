package org.tfcompress.demo.core.security

import java.nio.ByteBuffer
import java.util.Random
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertInstanceOf
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.tfcompress.demo.core.TestFolder
import org.tfcompress.demo.core.Vectors
import org.tfcompress.demo.core.manifest.ManifestException
import org.tfcompress.demo.core.manifest.ManifestReader

/** Damage in bulk: nothing damaged is accepted, and nothing crashes. */
class FaultTest {
    private val random = Random(5)

    /** [bytes] with one to four bytes changed, or cut, or longer. */
    private fun damaged(bytes: ByteArray): ByteArray = when (random.nextInt(4)) {
        0 -> bytes.copyOf(random.nextInt(bytes.size))

        1 -> bytes + ByteArray(1 + random.nextInt(9)).also(random::nextBytes)

        else -> bytes.copyOf().also { copy ->
            val at = (0..random.nextInt(4)).map { random.nextInt(copy.size) }.distinct()
            for (i in at) copy[i] = (copy[i].toInt() xor (1 + random.nextInt(255))).toByte()
        }
    }

    @Test
    fun `no single-byte flip in a 2 kB manifest is accepted`() {
        val folder = TestFolder()
        folder.members["models"] = listOf(folder.entry("float", "float.lin", "float"))
        val bytes = String(folder.manifestBytes()).replace(Regex("\\s*\n\\s*"), "").toByteArray()
        assertTrue(bytes.size in 1900..2200, "${bytes.size} bytes")
        val signature = TestFolder.sign(bytes)
        val gate = ManifestGate(TrustedKey(folder.publicKey))
        var readable = 0
        for (at in bytes.indices) {
            val flipped = bytes.copyOf().also { it[at] = (it[at].toInt() xor (1 shl at % 8)).toByte() }
            assertInstanceOf(ManifestState.Refused::class.java, gate.open(flipped, signature), "byte $at")
            try {
                ManifestReader.read(flipped)
                readable++
            } catch (_: ManifestException) {
                // The only exception that reading may end with.
            }
        }
        // Many flips leave a well-formed manifest: it is the signature that refuses those.
        assertTrue(readable in 1 until bytes.size, "$readable of ${bytes.size} still readable")
    }

    @Test
    fun `no damaged signature is accepted`() {
        val folder = TestFolder()
        val bytes = folder.manifestBytes()
        val signature = TestFolder.sign(bytes)
        val gate = ManifestGate(TrustedKey(folder.publicKey))
        for (at in signature.indices) {
            val flipped = signature.copyOf().also { it[at] = (it[at].toInt() xor (1 shl at % 8)).toByte() }
            assertInstanceOf(ManifestState.Refused::class.java, gate.open(bytes, flipped))
        }
    }

    @Test
    fun `no damaged bundled model is accepted`() {
        val manifest = ManifestReader.read(Vectors.assets.resolve("manifest.json").readBytes())
        for (entry in manifest.models) {
            val file = Vectors.assets.resolve(entry.file).readBytes()
            val key = entry.encryption?.let { TestFolder.key }
            repeat(DAMAGES) {
                val found = ModelGate { ByteBuffer.wrap(damaged(file)) }.open(entry, key)
                val fault = assertInstanceOf(Integrity.Refused::class.java, found).fault
                assertTrue(fault == IntegrityFault.WRONG_SIZE || fault == IntegrityFault.WRONG_HASH)
            }
        }
        assertTrue(manifest.models.size >= 6)
    }

    @Test
    fun `no damaged ciphertext decrypts, even past the hash`() {
        val plain = ByteArray(9632).also(random::nextBytes)
        val cipher = TestFolder.encrypt(plain)
        val aad = "tfcompress:1:secret"
        assertEquals(plain.size, ModelDecryptor.decrypt(cipher, TestFolder.key, TestFolder.NONCE, aad)?.limit())
        repeat(DAMAGES) {
            assertNull(ModelDecryptor.decrypt(damaged(cipher), TestFolder.key, TestFolder.NONCE, aad))
        }
        for (size in 0 until 17) {
            assertNull(ModelDecryptor.decrypt(cipher.copyOf(size), TestFolder.key, TestFolder.NONCE, aad))
        }
    }

    private companion object {
        const val DAMAGES = 1000
    }
}
