package org.tfcompress.demo.core.security

import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.security.GeneralSecurityException
import javax.crypto.Cipher
import javax.crypto.SecretKey
import javax.crypto.spec.GCMParameterSpec

/** AES-256-GCM. The plaintext exists in memory only. */
object ModelDecryptor {
    private const val TAG_BITS = 128
    private const val TAG_BYTES = TAG_BITS / 8

    /**
     * The plaintext in a direct buffer in native order, the only kind that the runtime takes; null
     * where the key, the additional data or a bit of the ciphertext is not the right one.
     */
    fun decrypt(cipherText: ByteArray, key: SecretKey, nonce: ByteArray, aad: String): ByteBuffer? {
        // Too short for a tag: the JVM's provider would fail in a way of its own.
        if (cipherText.size < TAG_BYTES) return null
        val plain = try {
            val cipher = Cipher.getInstance("AES/GCM/NoPadding")
            cipher.init(Cipher.DECRYPT_MODE, key, GCMParameterSpec(TAG_BITS, nonce))
            cipher.updateAAD(aad.toByteArray(Charsets.UTF_8))
            cipher.doFinal(cipherText)
        } catch (_: GeneralSecurityException) {
            return null
        }
        return directCopy(plain).also { plain.fill(0) }
    }
}

internal fun directCopy(bytes: ByteArray): ByteBuffer {
    val direct = ByteBuffer.allocateDirect(bytes.size).order(ByteOrder.nativeOrder())
    direct.put(bytes)
    direct.position(0)
    return direct
}
