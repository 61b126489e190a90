package org.tfcompress.demo

import org.junit.Rule
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.annotation.Config
import org.robolectric.annotation.GraphicsMode

@RunWith(RobolectricTestRunner::class)
@GraphicsMode(GraphicsMode.Mode.NATIVE)
@Config(sdk = [35], qualifiers = "w411dp-h1500dp-normal-long-notround-any-hdpi-keyshidden-nonav")
class ScreenshotTest {
    @get:Rule
    val rig = Rig()

    private fun all(name: String) {
        val a = rig.open()
        rig.shot(a, "$name-0draw")
        rig.engines.others["int8_ptq"] = 1
        rig.drawSeven(a)
        a.view<android.view.ViewGroup>(R.id.rows).getChildAt(1).performClick()
        rig.shot(a, "$name-1seven")
        rig.go(a, R.id.nav_bench)
        a.click(R.id.start)
        rig.shot(a, "$name-2bench")
        rig.go(a, R.id.nav_models)
        a.view<android.view.ViewGroup>(R.id.cards).getChildAt(1).performClick()
        rig.shot(a, "$name-3models")
        rig.go(a, R.id.nav_settings)
        rig.shot(a, "$name-4settings")
    }

    @Test
    @Config(qualifiers = "w891dp-h411dp-normal-long-notround-land-hdpi-keyshidden-nonav")
    fun land() = all("land")

    @Test
    @Config(qualifiers = "w411dp-h891dp-normal-long-notround-any-hdpi-keyshidden-nonav", fontScale = 2f)
    fun large() = all("large")

    @Test
    @Config(qualifiers = "ar-ldrtl-w411dp-h1500dp-normal-long-notround-any-hdpi-keyshidden-nonav")
    fun rtl() = all("rtl")
}
