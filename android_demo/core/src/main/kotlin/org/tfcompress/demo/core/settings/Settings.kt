package org.tfcompress.demo.core.settings

import org.tfcompress.demo.core.engine.Accelerator
import org.tfcompress.demo.core.engine.EngineConfig

/** Colours of the app. */
enum class Theme(val id: String) {
    SYSTEM("system"),
    LIGHT("light"),
    DARK("dark")
}

/** What the user has chosen; [adaptive] lets the policy pick the model, [monitoring] keeps the local log. */
data class Settings(
    val engine: EngineConfig,
    val theme: Theme = Theme.SYSTEM,
    val adaptive: Boolean = true,
    val monitoring: Boolean = true
) {
    /** As name and text pairs for a store of preferences. */
    fun toMap(): Map<String, String> = mapOf(
        ACCELERATOR to engine.accelerator.id,
        THREADS to engine.threads.toString(),
        XNNPACK to engine.xnnpack.toString(),
        THEME to theme.id,
        ADAPTIVE to adaptive.toString(),
        MONITORING to monitoring.toString()
    )

    companion object {
        private const val ACCELERATOR = "accelerator"
        private const val THREADS = "threads"
        private const val XNNPACK = "xnnpack"
        private const val THEME = "theme"
        private const val ADAPTIVE = "adaptive"
        private const val MONITORING = "monitoring"

        /** What a phone of [cores] cores begins with. */
        fun defaults(cores: Int) = Settings(EngineConfig(threads = EngineConfig.defaultThreads(cores)))

        /** From a store; what is missing or makes no sense there takes its default. */
        fun of(stored: Map<String, String>, cores: Int): Settings {
            val base = defaults(cores)
            val threads = stored[THREADS]?.toIntOrNull()?.takeIf { it in 1..EngineConfig.MAX_THREADS }
            return Settings(
                engine = EngineConfig(
                    accelerator = stored[ACCELERATOR]?.let(Accelerator::of) ?: base.engine.accelerator,
                    threads = threads ?: base.engine.threads,
                    xnnpack = stored[XNNPACK]?.toBooleanStrictOrNull() ?: base.engine.xnnpack
                ),
                theme = Theme.entries.firstOrNull { it.id == stored[THEME] } ?: base.theme,
                adaptive = stored[ADAPTIVE]?.toBooleanStrictOrNull() ?: base.adaptive,
                monitoring = stored[MONITORING]?.toBooleanStrictOrNull() ?: base.monitoring
            )
        }
    }
}
