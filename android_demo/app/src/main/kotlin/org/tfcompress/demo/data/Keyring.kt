package org.tfcompress.demo.data

import java.util.concurrent.ConcurrentHashMap
import javax.crypto.SecretKey
import org.tfcompress.demo.core.run.KeySource

/** Keys of unlocked models, in memory only: they are gone with the process. */
class Keyring : KeySource {
    private val keys = ConcurrentHashMap<String, SecretKey>()

    override fun key(model: String): SecretKey? = keys[model]

    fun put(model: String, key: SecretKey) {
        keys[model] = key
    }

    fun remove(model: String) {
        keys.remove(model)
    }
}
