package org.tfcompress.demo

import android.view.View
import android.view.ViewGroup
import android.widget.EditText
import android.widget.TextView
import java.io.File
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.annotation.Config
import org.robolectric.annotation.GraphicsMode
import org.tfcompress.demo.core.run.Outcome
import org.tfcompress.demo.work.BenchState

/** The whole app with the bundled models: real files, real key, real threads, real inference on the host's CPU. */
@RunWith(RobolectricTestRunner::class)
@GraphicsMode(GraphicsMode.Mode.NATIVE)
@Config(sdk = [35], qualifiers = "w411dp-h891dp-xhdpi")
class RealActivityTest {
    @get:Rule
    val real = RealApp()

    @Test
    fun `every model passes its self-test and reads a drawn seven`() {
        val unlocked = real.shelf.manifest.models.filter { it.encryption == null }
        val answers = real.read {
            real.draw(*RealApp.SEVEN)
        }
        assertEquals("7", real.activity.view<TextView>(R.id.digit_now).text.toString())
        val able = answers.outcomes.filterIsInstance<Outcome.Answered>()
        assertEquals("all but the encrypted one run", unlocked.map { it.id }, able.map { it.entry.id })
        assertTrue(able.all { it.prediction.label == 7 && it.agrees == true })
        real.go(R.id.nav_models)
        val cards = real.activity.view<ViewGroup>(R.id.cards)
        real.shelf.manifest.models.forEachIndexed { i, entry ->
            if (entry.encryption != null) return@forEachIndexed
            val outcome = cards.getChildAt(i).view<TextView>(R.id.outcome)
            cards.getChildAt(i).view<View>(R.id.self_test).performClick()
            real.waitFor("the self-test of ${entry.id}") { "golden inputs" in outcome.text }
            assertTrue("${entry.id}: ${outcome.text}", outcome.text.startsWith("Passed on 8"))
        }
    }

    @Test
    fun `the bundled samples are read as on the host`() {
        val samples = checkNotNull(real.shelf.samples).items
        val strip = real.activity.view<ViewGroup>(R.id.samples)
        var right = 0
        var asked = 0
        samples.forEachIndexed { i, sample ->
            val answers = real.read { strip.getChildAt(i).performClick() }
            val able = answers.outcomes.filterIsInstance<Outcome.Answered>()
            assertEquals(
                "samples marked disputed are those on which variants differ", sample.disputed,
                able.any {
                    it.agrees ==
                        false
                }
            )
            right += able.count { it.prediction.label == sample.label }
            asked += able.size
        }
        println("REAL samples=${samples.size} answers=$asked right=$right")
        assertTrue("$right of $asked", right >= asked * 0.85)
    }

    @Test
    fun `the encrypted model opens with the demo passphrase and agrees with its plain twin`() {
        real.go(R.id.nav_models)
        val models = real.shelf.manifest.models
        val secret = models.first { it.encryption != null }
        val card = real.activity.view<ViewGroup>(R.id.cards).getChildAt(models.indexOf(secret))
        card.view<EditText>(R.id.passphrase).setText("tfcompress-demo")
        card.view<View>(R.id.unlock).performClick()
        real.waitFor("the key") { card.view<TextView>(R.id.state).text == "Verified" }
        real.go(R.id.nav_draw)
        val answers = real.read { real.activity.view<ViewGroup>(R.id.samples).getChildAt(4).performClick() }
        val able = answers.outcomes.filterIsInstance<Outcome.Answered>()
        val twin = able.first { it.entry.plain == secret.plain && it.entry != secret }
        val found = able.first { it.entry == secret }
        assertTrue(twin.prediction.probabilities.contentEquals(found.prediction.probabilities))
    }

    @Test
    fun `a quick benchmark of all models`() {
        real.go(R.id.nav_bench)
        real.activity.view<View>(R.id.start).performClick()
        real.waitFor("the benchmark") { real.app.graph.benchmark.state.value is BenchState.Done }
        val report = (real.app.graph.benchmark.state.value as BenchState.Done).report
        assertEquals(real.shelf.manifest.models.count { it.encryption == null }, report.run.results.size)
        assertTrue(
            report.run.results.all {
                it.latency.n >= 50 && it.latency.p50Us > 0 &&
                    it.latency.p50Us <= it.latency.p99Us
            }
        )
        System.getProperty("report.file")?.let { File(it).writeText(report.toJson()) }
        println("REAL p50 " + report.run.results.joinToString { "${it.name} ${it.latency.p50Us} us" })
    }
}
