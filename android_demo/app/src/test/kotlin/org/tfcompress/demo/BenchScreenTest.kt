package org.tfcompress.demo

import android.content.Intent
import android.os.BatteryManager
import android.os.PowerManager
import android.view.View
import android.view.ViewGroup
import android.widget.CheckBox
import android.widget.RadioGroup
import android.widget.TextView
import java.util.concurrent.CountDownLatch
import java.util.concurrent.Executors
import java.util.concurrent.TimeUnit
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
import org.tfcompress.demo.core.json.JsonArray
import org.tfcompress.demo.core.json.JsonObject
import org.tfcompress.demo.core.json.JsonString
import org.tfcompress.demo.core.json.StrictJson
import org.tfcompress.demo.ui.MainActivity
import org.tfcompress.demo.work.BenchState

@RunWith(RobolectricTestRunner::class)
@GraphicsMode(GraphicsMode.Mode.NATIVE)
@Config(sdk = [26, 35], qualifiers = PHONE)
class BenchScreenTest {
    @get:Rule
    val rig = Rig()

    private fun MainActivity.chip(id: String): CheckBox {
        val at = rig.manifest.models.indexOfFirst { it.id == id }
        return view<ViewGroup>(R.id.chosen).getChildAt(at) as CheckBox
    }

    private fun MainActivity.results() = view<ViewGroup>(R.id.results_rows).let { list ->
        (0 until list.childCount).map { list.getChildAt(it) }
    }

    private fun View.text(id: Int) = view<TextView>(id).text.toString()

    /** The text that the app hands to the system's share sheet. */
    private fun MainActivity.shared(): Intent {
        val chooser = checkNotNull(shadowOf(this).nextStartedActivity)
        assertEquals(Intent.ACTION_CHOOSER, chooser.action)
        @Suppress("DEPRECATION")
        return checkNotNull(chooser.getParcelableExtra(Intent.EXTRA_INTENT))
    }

    @Test
    fun `measures what can run and shares it`() {
        val a = rig.open(R.id.nav_bench)
        assertEquals("Nothing measured yet. Choose a protocol and start.", a.text(R.id.results_about))
        assertFalse(a.chip("dynamic").isEnabled)
        assertFalse(a.chip("int8_compressed_encrypted").isEnabled)
        a.chip("float16").performClick()
        a.click(R.id.start)
        assertEquals(4, a.results().size)
        val speeds = a.results().map { it.text(R.id.value).removeSuffix(" µs").toInt() }
        assertEquals("the fastest first", speeds.sorted(), speeds)
        val slowest = a.results().last()
        val line = Regex("(?s)float32.*µs.*p90 .*${rig.kilobytes("float32")}.*of samples right")
        assertTrue(slowest.words(), line.containsMatchIn(slowest.words()))
        slowest.performClick()
        val facts = slowest.words()
        for (fact in listOf("Runs", "Mean ± deviation", "p95 · p99", "840 µs", "CPU, XNNPACK")) {
            assertTrue(
                facts,
                fact in facts
            )
        }
        a.click(R.id.share_json)
        val json = a.shared()
        assertEquals("application/json", json.type)
        val report = StrictJson.parse(checkNotNull(json.getStringExtra(Intent.EXTRA_TEXT))) as JsonObject
        assertEquals(JsonString("tfcompress.bench/1"), report.members["schema"])
        assertEquals(JsonString("2026-05-04T03:02:01Z"), report.members["created"])
        assertEquals(4, (report.members["results"] as JsonArray).items.size)
        a.click(R.id.share_csv)
        assertEquals(5, checkNotNull(a.shared().getStringExtra(Intent.EXTRA_TEXT)).trim().lines().size)
    }

    @Test
    fun `sorts by size and accuracy and keeps result and choices when turned`() {
        val a = rig.open(R.id.nav_bench)
        a.view<RadioGroup>(R.id.modes).check(R.id.mode_standard)
        val about = a.text(R.id.mode_about)
        assertTrue(about, about.startsWith("128 runs of each variant, and at least 10 seconds"))
        a.view<RadioGroup>(R.id.modes).check(R.id.mode_quick)
        a.chip("float32").performClick()
        a.click(R.id.start)
        a.view<RadioGroup>(R.id.sort).check(R.id.sort_size)
        assertTrue(rig.kilobytes("int8_compressed") in a.results().first().words())
        assertTrue(rig.kilobytes("float16") in a.results().last().words())
        val turned = rig.change("+land")
        assertEquals(R.id.sort_size, turned.view<RadioGroup>(R.id.sort).checkedRadioButtonId)
        assertFalse(turned.chip("float32").isChecked)
        assertTrue(rig.kilobytes("int8_compressed") in turned.results().first().words())
        turned.view<RadioGroup>(R.id.sort).check(R.id.sort_accuracy)
        assertEquals(4, turned.results().size)
    }

    @Test
    fun `can be watched and stopped, and stops when the user leaves`() {
        val models = Executors.newSingleThreadExecutor()
        rig.on(models)
        val reached = CountDownLatch(1)
        val go = CountDownLatch(1)
        rig.engines.running = {
            reached.countDown()
            check(go.await(20, TimeUnit.SECONDS)) { "nobody let it go on" }
        }
        val a = rig.open(R.id.nav_bench)
        models.submit {}.get()
        rig.idle()
        a.click(R.id.start)
        assertTrue(reached.await(20, TimeUnit.SECONDS))
        rig.idle()
        assertTrue(a.view<View>(R.id.progress_box).isShown)
        assertFalse(a.view<View>(R.id.start).isShown)
        assertEquals("0% · float32", a.text(R.id.progress_text))
        assertTrue(a.view<View>(R.id.root).all().any { it.keepScreenOn })
        val turned = rig.change("+land")
        assertTrue("goes on while the phone turns", turned.view<View>(R.id.progress_box).isShown)
        turned.click(R.id.stop)
        go.countDown()
        models.submit {}.get(20, TimeUnit.SECONDS)
        rig.idle()
        assertEquals("Stopped. Nothing was kept.", turned.text(R.id.results_about))
        assertEquals(BenchState.Stopped, rig.app.graph.benchmark.state.value)
        models.shutdown()
    }

    @Test
    fun `battery saver is warned about and marked`() {
        val a = rig.open(R.id.nav_settings)
        shadowOf(a.getSystemService(PowerManager::class.java)).setIsPowerSaveMode(true)
        rig.go(a, R.id.nav_bench)
        assertTrue(a.view<View>(R.id.bench_warning).isShown)
        assertEquals("Start anyway", a.text(R.id.start))
        a.click(R.id.start)
        assertTrue(a.text(R.id.results_about), "Marked:" in a.text(R.id.results_about))
    }

    /** The phone as its battery tells it: at 4 V, drawing [milliamperes], with or without a cable. */
    private fun battery(milliamperes: Long, plugged: Int) {
        val manager = rig.app.getSystemService(BatteryManager::class.java)
        shadowOf(manager).setLongProperty(BatteryManager.BATTERY_PROPERTY_CURRENT_NOW, -1000 * milliamperes)
        val said = Intent(Intent.ACTION_BATTERY_CHANGED)
            .putExtra(BatteryManager.EXTRA_VOLTAGE, 4000)
            .putExtra(BatteryManager.EXTRA_PLUGGED, plugged)
        @Suppress("DEPRECATION")
        rig.app.sendStickyBroadcast(said)
    }

    @Test
    fun `energy is told after a long run on battery, as a coarse figure`() {
        battery(500, plugged = 0)
        val a = rig.open(R.id.nav_bench)
        assertFalse("energy" in a.text(R.id.mode_about))
        a.click(R.id.start)
        assertFalse("too short a run", "battery" in a.text(R.id.results_about))
        a.view<RadioGroup>(R.id.modes).check(R.id.mode_thorough)
        assertTrue(a.text(R.id.mode_about), "energy too, coarsely" in a.text(R.id.mode_about))
        a.click(R.id.start)
        assertTrue(a.text(R.id.results_about), "by the counters of the battery: coarse" in a.text(R.id.results_about))
        val row = a.results().first()
        row.performClick()
        // A run and its copy take a little over a millisecond, at 2 W.
        assertTrue(row.words(), Regex("Energy, coarse\n2\\.0\\d mJ").containsMatchIn(row.words()))
        a.click(R.id.share_json)
        val report = checkNotNull(a.shared().getStringExtra(Intent.EXTRA_TEXT))
        assertEquals(a.results().size, Regex("\"source\": ?\"battery\"").findAll(report).count())
        battery(500, plugged = BatteryManager.BATTERY_PLUGGED_USB)
        a.view<RadioGroup>(R.id.modes).check(R.id.mode_quick)
        a.click(R.id.start)
        assertFalse(a.results().any { it.also(View::performClick).words().contains("mJ") })
        a.click(R.id.share_json)
        assertTrue("the phone was charging" in checkNotNull(a.shared().getStringExtra(Intent.EXTRA_TEXT)))
    }

    @Test
    fun `a model that can't be opened is named`() {
        rig.engines.broken += "float32"
        val a = rig.open(R.id.nav_bench)
        a.click(R.id.start)
        assertEquals("The runtime could not run it: no kernel for this operator", a.text(R.id.results_about))
        rig.manifest.models.forEach { if (a.chip(it.id).isChecked) a.chip(it.id).performClick() }
        assertFalse(a.view<View>(R.id.start).isEnabled)
    }
}
