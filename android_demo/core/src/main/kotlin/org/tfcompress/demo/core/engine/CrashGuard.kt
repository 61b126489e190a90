package org.tfcompress.demo.core.engine

/** Flags that survive the death of the process; a write must be on disk when [set] returns. */
interface FlagStore {
    fun isSet(name: String): Boolean

    fun set(name: String, value: Boolean)
}

/**
 * Remembers an accelerator that took the process down: a flag stands while it is being opened and
 * is taken away afterwards. A flag found standing at the next start means that it crashed or hung.
 */
class CrashGuard(private val flags: FlagStore) {
    /** Whether the last attempt at this accelerator never came back. */
    fun crashedLastTime(accelerator: Accelerator): Boolean = flags.isSet(key(accelerator))

    /** Runs [open] under the flag; an exception counts as having come back. */
    fun <T> guarded(accelerator: Accelerator, open: () -> T): T {
        if (accelerator == Accelerator.CPU) return open()
        flags.set(key(accelerator), true)
        try {
            return open()
        } finally {
            flags.set(key(accelerator), false)
        }
    }

    /** Lets the user try again. */
    fun forgive(accelerator: Accelerator) = flags.set(key(accelerator), false)

    private fun key(accelerator: Accelerator) = "opening_${accelerator.id}"
}
