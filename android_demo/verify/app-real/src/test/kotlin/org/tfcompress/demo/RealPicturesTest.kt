package org.tfcompress.demo

import android.view.View
import android.view.ViewGroup
import android.widget.ScrollView
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.annotation.Config
import org.robolectric.annotation.GraphicsMode
import org.tfcompress.demo.work.BenchState

private const val PHONE = "w411dp-h891dp-normal-long-notround-any-xhdpi-keyshidden-nonav"

/** The pictures of README: what the app shows when the real models answer. */
@RunWith(RobolectricTestRunner::class)
@GraphicsMode(GraphicsMode.Mode.NATIVE)
@Config(sdk = [35], qualifiers = PHONE)
class RealPicturesTest {
    @get:Rule
    val real = RealApp()

    /** Reads twice, so that no first run is shown, and a sample on which the variants differ where there is one. */
    private fun drawn() {
        repeat(9) { real.read { real.activity.view<ViewGroup>(R.id.samples).getChildAt(it).performClick() } }
        val answers = real.read { real.draw(*RealApp.SEVEN) }
        assertTrue(answers.outcomes.isNotEmpty())
    }

    private fun row(at: Int) = real.activity.view<ViewGroup>(R.id.rows).getChildAt(at).performClick()

    @Test
    fun phone() {
        drawn()
        real.shot("draw")
        real.go(R.id.nav_bench)
        real.activity.view<View>(R.id.start).performClick()
        real.waitFor("the benchmark") { real.app.graph.benchmark.state.value is BenchState.Done }
        (real.activity.view<ViewGroup>(R.id.screen).getChildAt(0) as ScrollView).scrollTo(0, 10_000)
        real.shot("bench")
        real.go(R.id.nav_models)
        real.shot("models")
        real.go(R.id.nav_settings)
        real.shot("settings")
    }

    @Test
    @Config(qualifiers = "zh-rCN-w411dp-h891dp-normal-long-notround-any-night-xhdpi-keyshidden-nonav")
    fun night() {
        drawn()
        real.shot("draw-zh-night")
    }

    @Test
    @Config(fontScale = 2f)
    fun large() {
        drawn()
        real.shot("draw-large")
    }

    @Test
    @Config(qualifiers = "sw800dp-w1280dp-h800dp-xlarge-notlong-notround-land-hdpi-keyshidden-nonav")
    fun tablet() {
        drawn()
        row(3)
        real.shot("tablet")
        real.go(R.id.nav_models)
        real.shot("tablet-models")
    }
}
