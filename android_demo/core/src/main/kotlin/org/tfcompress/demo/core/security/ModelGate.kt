package org.tfcompress.demo.core.security

import java.nio.ByteBuffer
import java.nio.ByteOrder
import javax.crypto.SecretKey
import org.tfcompress.demo.core.manifest.Encryption
import org.tfcompress.demo.core.manifest.FileDigest
import org.tfcompress.demo.core.manifest.ModelEntry

/** Files of the models folder: assets on a phone, a folder on a host. */
fun interface ModelFiles {
    /** The file in a buffer from 0 to its limit (mapped is best), or null if it is not there. */
    fun read(path: String): ByteBuffer?
}

/** The one way from a file to bytes that may be run: size, hash, decryption, hash of the plaintext. */
class ModelGate(private val files: ModelFiles) {
    /** Checks a model against the signed manifest. [key] is used only where the model is encrypted. */
    fun open(entry: ModelEntry, key: SecretKey? = null): Integrity {
        val file = files.read(entry.file) ?: return refused(IntegrityFault.MISSING, "no ${entry.file}")
        fault(file, entry.digest)?.let { return it }
        val encryption = entry.encryption ?: return Integrity.Ready(direct(file), secret = false)
        if (key == null) return Integrity.Locked
        return decrypted(file, encryption, key)
    }

    private fun decrypted(file: ByteBuffer, encryption: Encryption, key: SecretKey): Integrity {
        // The ciphertext is the signed one, so what fails here is the key.
        val plain = ModelDecryptor.decrypt(bytes(file), key, encryption.nonce, encryption.aad)
            ?: return refused(IntegrityFault.WRONG_PASSPHRASE, "the tag does not fit")
        val ready = Integrity.Ready(plain, secret = true)
        if (fault(plain, encryption.plain) == null) return ready
        ready.wipe()
        return refused(IntegrityFault.WRONG_PLAINTEXT, "the decrypted bytes are not those of the manifest")
    }

    companion object {
        /** What is wrong with a file that should have this size and hash, or null. */
        fun fault(file: ByteBuffer, expected: FileDigest): Integrity.Refused? {
            val size = file.limit().toLong()
            if (size != expected.bytes) {
                return refused(IntegrityFault.WRONG_SIZE, "$size bytes, the manifest says ${expected.bytes}")
            }
            val hash = Digests.sha256(file)
            return if (hash == expected.sha256) {
                null
            } else {
                refused(IntegrityFault.WRONG_HASH, "SHA-256 $hash, the manifest says ${expected.sha256}")
            }
        }

        private fun refused(fault: IntegrityFault, detail: String) = Integrity.Refused(fault, detail)

        private fun direct(file: ByteBuffer): ByteBuffer =
            if (file.isDirect) file.duplicate().order(ByteOrder.nativeOrder()) else directCopy(bytes(file))
    }
}

/** All bytes of a buffer, whatever its position. */
internal fun bytes(buffer: ByteBuffer): ByteArray {
    val view = buffer.duplicate()
    view.position(0)
    return ByteArray(view.limit()).also { view.get(it) }
}
