package org.tfcompress.demo.core.security

import java.nio.ByteBuffer
import java.security.MessageDigest

/** SHA-256 in lower-case hex. */
object Digests {
    private const val HEX = "0123456789abcdef"

    fun sha256(bytes: ByteArray): String = sha256(ByteBuffer.wrap(bytes))

    /** Of the whole buffer from 0 to its limit; its position stays. */
    fun sha256(buffer: ByteBuffer): String {
        val view = buffer.duplicate()
        view.position(0)
        val digest = MessageDigest.getInstance("SHA-256")
        digest.update(view)
        return buildString {
            for (byte in digest.digest()) append(HEX[(byte.toInt() shr 4) and 0xf]).append(HEX[byte.toInt() and 0xf])
        }
    }
}
