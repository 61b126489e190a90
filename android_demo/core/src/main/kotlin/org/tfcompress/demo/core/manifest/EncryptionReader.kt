package org.tfcompress.demo.core.manifest

import java.util.Base64
import org.tfcompress.demo.core.json.JsonFields

/** Reads `encryption`; only the one pair of algorithms and strong enough settings are accepted. */
internal object EncryptionReader {
    private const val NONCE_BYTES = 12
    private const val SALT_BYTES = 16
    private val ITERATIONS = 100_000..10_000_000

    fun read(fields: JsonFields, id: String): Encryption {
        if (fields.string("alg") != "A256GCM") fields.wrong("alg", "\"A256GCM\"")
        val kdf = fields.fields("kdf")
        if (kdf.string("alg") != "PBKDF2-HMAC-SHA256") kdf.wrong("alg", "\"PBKDF2-HMAC-SHA256\"")
        val aad = "tfcompress:1:$id"
        if (fields.string("aad") != aad) fields.wrong("aad", "\"$aad\"")
        return Encryption(
            nonce = base64(fields, "nonce", NONCE_BYTES),
            aad = aad,
            plain = fields.digest("plain_bytes", "plain_sha256"),
            salt = base64(kdf, "salt", SALT_BYTES),
            iterations = kdf.int("iterations", ITERATIONS)
        )
    }

    private fun base64(fields: JsonFields, name: String, size: Int): ByteArray {
        val bytes = try {
            Base64.getDecoder().decode(fields.string(name))
        } catch (_: IllegalArgumentException) {
            null
        }
        return bytes?.takeIf { it.size == size } ?: fields.wrong(name, "base64 of $size bytes")
    }
}
