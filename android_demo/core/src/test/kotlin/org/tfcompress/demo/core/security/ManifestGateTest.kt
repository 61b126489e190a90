package org.tfcompress.demo.core.security

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertInstanceOf
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.tfcompress.demo.core.TestFolder
import org.tfcompress.demo.core.Vectors
import org.tfcompress.demo.core.base64

class ManifestGateTest {
    private val folder = TestFolder()
    private val gate = ManifestGate(TrustedKey(folder.publicKey))
    private val bytes = folder.manifestBytes()

    private fun fault(manifest: ByteArray?, signature: ByteArray?) =
        assertInstanceOf(ManifestState.Refused::class.java, gate.open(manifest, signature)).fault

    @Test
    fun `a manifest signed by the app's key is trusted`() {
        val state = assertInstanceOf(ManifestState.Trusted::class.java, folder.open())
        assertEquals(Digests.sha256(bytes), state.sha256)
        assertEquals("float", state.manifest.reference)
    }

    @Test
    fun `each way to fail has its name`() {
        val signature = TestFolder.sign(bytes)
        assertEquals(ManifestFault.MISSING, fault(null, signature))
        assertEquals(ManifestFault.UNSIGNED, fault(bytes, null))
        assertEquals(ManifestFault.BAD_SIGNATURE, fault(bytes + 32, signature))
        assertEquals(ManifestFault.BAD_SIGNATURE, fault("no json".toByteArray(), signature))
        for (bad in listOf(ByteArray(0), ByteArray(72), signature + 0, signature.copyOf(signature.size - 1))) {
            assertEquals(ManifestFault.BAD_SIGNATURE, fault(bytes, bad))
        }
        val nonsense = "{}".toByteArray()
        assertEquals(ManifestFault.UNREADABLE, fault(nonsense, TestFolder.sign(nonsense)))
    }

    @Test
    fun `a manifest of another key is told apart`() {
        val other = TestFolder.newPair()
        folder.members["key_sha256"] = Digests.sha256(other.public.encoded)
        val foreign = folder.manifestBytes()
        assertEquals(ManifestFault.OTHER_KEY, fault(foreign, TestFolder.sign(foreign, other)))
    }

    @Test
    fun `a signature that Python made is accepted, and only for its message`() {
        val vector = Vectors.read("security").fields("signature")
        val key = TrustedKey(vector.base64("public_key"))
        val message = vector.base64("message")
        assertTrue(key.signed(message, vector.base64("signature")))
        assertFalse(key.signed(message + 0, vector.base64("signature")))
        assertEquals(Digests.sha256(vector.base64("public_key")), key.sha256)
    }
}
