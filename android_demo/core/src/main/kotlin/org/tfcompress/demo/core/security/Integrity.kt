package org.tfcompress.demo.core.security

import java.nio.ByteBuffer

/** Why a model file is refused. */
enum class IntegrityFault { MISSING, WRONG_SIZE, WRONG_HASH, WRONG_PASSPHRASE, WRONG_PLAINTEXT }

/** What the checks of a model file found. Only [Ready] has bytes that may reach a runtime. */
sealed interface Integrity {
    /** [model] is direct, in native order; [secret] if it was decrypted and must not stay in memory. */
    class Ready(val model: ByteBuffer, private val secret: Boolean) : Integrity {
        /** Overwrites a decrypted model. Call it when no engine uses it any more. */
        fun wipe() {
            if (secret) for (i in 0 until model.limit()) model.put(i, 0)
        }
    }

    /** Unchanged, but its passphrase has not been given yet. */
    data object Locked : Integrity

    /** Must not be run; [detail] is for experts. */
    data class Refused(val fault: IntegrityFault, val detail: String) : Integrity
}
