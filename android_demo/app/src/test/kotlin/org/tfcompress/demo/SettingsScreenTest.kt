package org.tfcompress.demo

import android.content.Intent
import android.content.res.Configuration
import android.view.View
import android.widget.RadioGroup
import android.widget.Switch
import android.widget.TextView
import java.io.File
import java.time.Instant
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import org.robolectric.annotation.GraphicsMode
import org.tfcompress.demo.core.engine.Accelerator
import org.tfcompress.demo.core.monitor.MonitorLog
import org.tfcompress.demo.core.settings.Theme
import org.tfcompress.demo.work.Monitor
import org.tfcompress.demo.work.Shelf

@RunWith(RobolectricTestRunner::class)
@GraphicsMode(GraphicsMode.Mode.NATIVE)
@Config(sdk = [26, 35], qualifiers = PHONE)
class SettingsScreenTest {
    @get:Rule
    val rig = Rig()

    private val now get() = rig.app.graph.settings.current.value

    @Test
    fun `accelerators that are not there are disabled, with the reason`() {
        val a = rig.open(R.id.nav_settings)
        assertFalse(a.view<View>(R.id.use_gpu).isEnabled)
        assertEquals("No GPU here.", a.text(R.id.gpu_reason))
        assertEquals("No model has run with these settings yet. Draw a digit.", a.text(R.id.used_now))
        rig.go(a, R.id.nav_draw)
        rig.drawSeven(a)
        rig.go(a, R.id.nav_settings)
        assertTrue(a.text(R.id.used_now).startsWith("Used now: CPU, XNNPACK"))
        a.view<RadioGroup>(R.id.accelerators).check(R.id.use_plain)
        rig.idle()
        assertFalse(now.engine.xnnpack)
        assertTrue(a.text(R.id.used_now), a.text(R.id.used_now).startsWith("Used now: CPU, plain kernels"))
    }

    @Test
    fun `an accelerator that fails is replaced by the CPU, and that is shown`() {
        rig.engines.missing.clear()
        val a = rig.open()
        rig.drawSeven(a)
        rig.go(a, R.id.nav_settings)
        assertTrue(a.view<View>(R.id.use_gpu).isEnabled)
        rig.engines.missing[Accelerator.GPU] = "the driver gave up"
        a.view<RadioGroup>(R.id.accelerators).check(R.id.use_gpu)
        rig.idle()
        assertEquals(Accelerator.GPU, now.engine.accelerator)
        val used = a.text(R.id.used_now)
        assertTrue(used, Regex("Used now: CPU.* instead of GPU: the driver gave up").matches(used))
        rig.engines.missing.clear()
        a.view<RadioGroup>(R.id.accelerators).check(R.id.use_npu)
        rig.idle()
        assertEquals("Used now: NPU", a.text(R.id.used_now))
    }

    @Test
    fun `threads have limits`() {
        val a = rig.open(R.id.nav_settings)
        repeat(70) { if (a.view<View>(R.id.more_threads).isEnabled) a.click(R.id.more_threads) }
        assertFalse(a.view<View>(R.id.more_threads).isEnabled)
        while (a.view<View>(R.id.fewer).isEnabled) a.click(R.id.fewer)
        assertEquals("1 thread", a.text(R.id.threads))
        assertEquals(1, now.engine.threads)
        a.click(R.id.reset)
        assertEquals(rig.app.graph.phone.cores.coerceIn(1, 4), now.engine.threads)
    }

    @Test
    fun `the theme is kept and laid over the system's`() {
        val a = rig.open(R.id.nav_settings)
        assertEquals(Configuration.UI_MODE_NIGHT_NO, a.night())
        a.view<RadioGroup>(R.id.themes).check(R.id.theme_dark)
        rig.idle()
        assertEquals(Theme.DARK, now.theme)
        val dark = rig.current()
        assertEquals(Configuration.UI_MODE_NIGHT_YES, dark.night())
        val corner = rig.shot(dark, "theme-dark").getPixel(2, 2)
        assertEquals("background of the window", dark.getColor(R.color.background), corner)
        assertEquals(0xFF0E1117.toInt(), corner)
        dark.view<RadioGroup>(R.id.themes).check(R.id.theme_light)
        rig.idle()
        assertEquals(Configuration.UI_MODE_NIGHT_NO, rig.current().night())
    }

    private fun android.app.Activity.night() = resources.configuration.uiMode and Configuration.UI_MODE_NIGHT_MASK

    @Test
    fun `answers are counted, exported and forgotten`() {
        val a = rig.open()
        rig.drawSeven(a)
        rig.drawSeven(a)
        rig.go(a, R.id.nav_settings)
        assertEquals("2 answers counted on this device; no image is kept.", a.text(R.id.monitor_about))
        assertTrue(a.view<View>(R.id.confidence).isShown)
        assertEquals("from 95 percent: 2", a.view<View>(R.id.confidence).contentDescription)
        a.click(R.id.export_log)
        @Suppress("DEPRECATION")
        val sent: Intent =
            checkNotNull(checkNotNull(shadowOf(a).nextStartedActivity).getParcelableExtra(Intent.EXTRA_INTENT))
        val text = checkNotNull(sent.getStringExtra(Intent.EXTRA_TEXT))
        val sha = (rig.app.graph.gallery.shelf.value as Shelf.Open).sha256
        assertEquals(2L, checkNotNull(MonitorLog.restore(text, rig.manifest, sha)).count)
        a.click(R.id.forget_log)
        assertEquals("0 answers counted on this device; no image is kept.", a.text(R.id.monitor_about))
        assertFalse(a.view<View>(R.id.confidence).isShown)
        a.view<Switch>(R.id.monitoring).performClick()
        rig.go(a, R.id.nav_draw)
        rig.drawSeven(a)
        rig.go(a, R.id.nav_settings)
        assertEquals("0 answers counted on this device; no image is kept.", a.text(R.id.monitor_about))
    }

    @Test
    fun `the log survives the process, and another model's log does not count`() {
        rig.drawSeven(rig.open())
        val monitor = { Monitor(rig.app.filesDir, rig.app.graph.phone) { Instant.EPOCH } }
        val shop = checkNotNull(rig.app.graph.gallery.workshop)
        assertEquals(1L, monitor().look(shop).count)
        val file = File(rig.app.filesDir, "monitor.json")
        file.writeText(file.readText().replace(shop.sha256, "0".repeat(64)))
        assertEquals(0L, monitor().look(shop).count)
    }

    @Test
    @Config(sdk = [35])
    fun `opens the system's language settings where there are some`() {
        val a = rig.open(R.id.nav_settings)
        a.click(R.id.language)
        val intent = checkNotNull(shadowOf(a).nextStartedActivity)
        assertEquals("android.settings.APP_LOCALE_SETTINGS", intent.action)
        assertEquals("package:org.tfcompress.demo", intent.data.toString())
        assertEquals("0.1.0", a.view<View>(R.id.versions).all().filterIsInstance<TextView>()[1].text.toString())
    }
}
