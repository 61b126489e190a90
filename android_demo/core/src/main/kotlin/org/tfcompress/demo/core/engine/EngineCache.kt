package org.tfcompress.demo.core.engine

/**
 * Open engines by model and configuration, at most [capacity]; the one not used for longest is
 * closed. Belongs to the thread that owns the models.
 */
class EngineCache(private val capacity: Int) : AutoCloseable {
    private data class Key(val model: String, val config: EngineConfig)

    private val engines = LinkedHashMap<Key, InferenceEngine>(16, 0.75f, true)

    init {
        require(capacity >= 1) { "capacity must be 1 or more. Received: capacity=$capacity" }
    }

    val size: Int get() = engines.size

    /** The open engine, or the one that [open] makes; a failed opening leaves nothing behind. */
    fun get(model: String, config: EngineConfig, open: () -> InferenceEngine): InferenceEngine {
        engines[Key(model, config)]?.let { return it }
        while (engines.size >= capacity) drop(engines.keys.first())
        return open().also { engines[Key(model, config)] = it }
    }

    /** Closes what is open of one model, after it was locked or found tampered, for instance. */
    fun evict(model: String) = engines.keys.filter { it.model == model }.forEach(::drop)

    override fun close() = engines.keys.toList().forEach(::drop)

    private fun drop(key: Key) {
        engines.remove(key)?.close()
    }
}
