package org.tfcompress.demo.core.security

import java.text.Normalizer
import javax.crypto.SecretKey
import javax.crypto.SecretKeyFactory
import javax.crypto.spec.PBEKeySpec
import javax.crypto.spec.SecretKeySpec
import org.tfcompress.demo.core.manifest.Encryption

/** Makes the AES-256 key of a passphrase: PBKDF2-HMAC-SHA256 over its NFC form in UTF-8. */
object PassphraseKey {
    private const val KEY_BITS = 256

    /** Takes a second or so: call it off the main thread. An empty passphrase is refused. */
    fun derive(passphrase: String, encryption: Encryption): SecretKey =
        derive(passphrase, encryption.salt, encryption.iterations)

    /** The same from the settings themselves. */
    fun derive(passphrase: String, salt: ByteArray, iterations: Int): SecretKey {
        require(passphrase.isNotEmpty()) { "the passphrase is empty" }
        val characters = Normalizer.normalize(passphrase, Normalizer.Form.NFC).toCharArray()
        val spec = PBEKeySpec(characters, salt, iterations, KEY_BITS)
        try {
            val key = SecretKeyFactory.getInstance("PBKDF2WithHmacSHA256").generateSecret(spec).encoded
            return SecretKeySpec(key, "AES").also { key.fill(0) }
        } finally {
            spec.clearPassword()
            characters.fill('\u0000')
        }
    }
}
