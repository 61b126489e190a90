package org.tfcompress.demo.core.security

import java.security.GeneralSecurityException
import java.security.KeyFactory
import java.security.PublicKey
import java.security.Signature
import java.security.spec.X509EncodedKeySpec

/** The P-256 public key that manifests must be signed with, from its X.509 DER bytes. */
class TrustedKey(der: ByteArray) {
    private val key: PublicKey = KeyFactory.getInstance("EC").generatePublic(X509EncodedKeySpec(der))

    /** SHA-256 of the key's bytes, as manifests name it. */
    val sha256: String = Digests.sha256(der)

    /** Whether [signature] (ECDSA, SHA-256, DER) is this key's over exactly these bytes. */
    fun signed(message: ByteArray, signature: ByteArray): Boolean = try {
        val verifier = Signature.getInstance("SHA256withECDSA")
        verifier.initVerify(key)
        verifier.update(message)
        verifier.verify(signature)
    } catch (_: GeneralSecurityException) {
        // What is not even DER is not a signature.
        false
    }

    companion object {
        // Absolute: R8 may move this class to another package.
        private const val RESOURCE = "/org/tfcompress/demo/core/public_key.der"

        /** The key compiled into this app. */
        fun bundled(): TrustedKey {
            val stream =
                checkNotNull(TrustedKey::class.java.getResourceAsStream(RESOURCE)) { "no $RESOURCE in the app" }
            return TrustedKey(stream.use { it.readBytes() })
        }
    }
}
