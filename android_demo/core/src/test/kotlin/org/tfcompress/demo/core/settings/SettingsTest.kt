package org.tfcompress.demo.core.settings

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test
import org.tfcompress.demo.core.engine.Accelerator
import org.tfcompress.demo.core.engine.EngineConfig

class SettingsTest {
    @Test
    fun `settings survive the store`() {
        val settings =
            Settings(EngineConfig(Accelerator.GPU, 3, false), Theme.DARK, adaptive = false, monitoring = false)
        assertEquals(settings, Settings.of(settings.toMap(), cores = 8))
    }

    @Test
    fun `what is missing or damaged takes its default`() {
        val defaults = Settings.defaults(8)
        assertEquals(4, defaults.engine.threads)
        assertEquals(defaults, Settings.of(emptyMap(), cores = 8))
        for (text in listOf("", "x", "-1", "0", "1000", "TRUE")) {
            assertEquals(defaults, Settings.of(defaults.toMap().mapValues { text }, cores = 8), text)
        }
    }
}
