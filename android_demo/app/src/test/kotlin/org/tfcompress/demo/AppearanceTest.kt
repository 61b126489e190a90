package org.tfcompress.demo

import android.graphics.Rect
import android.view.View
import android.view.ViewGroup
import android.widget.EditText
import android.widget.ImageButton
import android.widget.TextView
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.annotation.Config
import org.robolectric.annotation.GraphicsMode
import org.tfcompress.demo.ui.MainActivity
import org.tfcompress.demo.ui.view.InkView

/** Every screen in every dress: kept as a picture, and looked over for what a person would trip on. */
@RunWith(RobolectricTestRunner::class)
@GraphicsMode(GraphicsMode.Mode.NATIVE)
@Config(sdk = [35], qualifiers = PHONE)
class AppearanceTest {
    @get:Rule
    val rig = Rig()

    /** Goes through all screens with something on each, and looks at each. */
    private fun look(dress: String) {
        rig.engines.others["int8_ptq"] = 1
        val a = rig.open()
        check(a, "$dress-empty")
        rig.drawSeven(a)
        a.view<ViewGroup>(R.id.rows).getChildAt(1).performClick()
        check(a, "$dress-draw")
        rig.go(a, R.id.nav_bench)
        a.click(R.id.start)
        a.view<ViewGroup>(R.id.results_rows).getChildAt(0).performClick()
        check(a, "$dress-bench")
        rig.go(a, R.id.nav_models)
        a.view<ViewGroup>(R.id.cards).getChildAt(0).performClick()
        check(a, "$dress-models")
        rig.go(a, R.id.nav_settings)
        check(a, "$dress-settings")
    }

    private fun check(a: MainActivity, name: String) {
        rig.shot(a, name)
        val shown = a.view<View>(R.id.root).all().filter { it.isShown && it.width > 0 }
        val touch = a.resources.displayMetrics.density * 48 - 1
        for (view in shown.filter { it.isClickable && it !is InkView && !selectable(it) }) {
            val what = "$name: ${describe(view)}"
            val size = "${view.width} x ${view.height}"
            assertTrue("$what is too small: $size", view.width >= touch && view.height >= touch)
            assertTrue("$what has no words for a screen reader", spoken(view).isNotBlank())
        }
        for (text in shown.filterIsInstance<TextView>().filter { it !is EditText && it.layout != null }) {
            val what = "$name: ${describe(text)} \"${text.text}\""
            val lines = text.layout
            assertTrue("$what is cut off", (0 until lines.lineCount).all { lines.getEllipsisCount(it) == 0 })
            val room = text.height - text.compoundPaddingTop - text.compoundPaddingBottom
            assertTrue("$what needs ${lines.height} and has $room", lines.height <= room + 2)
        }
        overlaps(a.view(R.id.screen), name)
    }

    /** No two texts lie on each other. */
    private fun overlaps(screen: View, name: String) {
        val texts = screen.all().filterIsInstance<TextView>().filter { it.isShown && it.text.isNotEmpty() }
        val places = texts.map { text -> Rect().also { if (!text.getGlobalVisibleRect(it)) it.setEmpty() } }
        for (i in texts.indices) {
            for (j in i + 1 until texts.size) {
                val both = !places[i].isEmpty && Rect.intersects(places[i], places[j])
                assertTrue("$name: \"${texts[i].text}\" lies on \"${texts[j].text}\"", !both)
            }
        }
    }

    /** Text that can be copied counts as clickable, but is no target. */
    private fun selectable(view: View) = view is TextView && view !is EditText && view.isTextSelectable

    /** Ids made at run time have no name. */
    private fun describe(view: View): String = if (view.id ushr 24 == 0 || view.id == View.NO_ID) {
        view.javaClass.simpleName
    } else {
        view.resources.getResourceEntryName(view.id)
    }

    private fun spoken(view: View): String = view.contentDescription?.toString() ?: when (view) {
        is ImageButton -> ""
        is ViewGroup -> view.words()
        is EditText -> view.resources.getString(R.string.passphrase_label)
        else -> (view as? TextView)?.text.toString()
    }

    @Test
    fun `phone in English by day`() = look("phone")

    @Test
    @Config(sdk = [26])
    fun `phone with the oldest system`() = look("oldest")

    @Test
    @Config(qualifiers = "zh-rCN-w411dp-h891dp-normal-long-notround-any-night-xhdpi-keyshidden-nonav")
    fun `phone in Chinese at night`() = look("phone-zh-night")

    @Test
    @Config(sdk = [26], qualifiers = "w411dp-h891dp-normal-long-notround-any-night-xhdpi-keyshidden-nonav")
    fun `phone with the oldest system at night`() = look("oldest-night")

    @Test
    @Config(qualifiers = "w891dp-h411dp-normal-long-notround-land-hdpi-keyshidden-nonav")
    fun `phone turned`() = look("turned")

    @Test
    @Config(fontScale = 2f)
    fun `phone with large fonts`() = look("large")

    @Test
    @Config(qualifiers = "zh-rCN-$PHONE", fontScale = 2f)
    fun `phone with large fonts in Chinese`() = look("large-zh")

    @Test
    @Config(qualifiers = "ar-ldrtl-$PHONE")
    fun `phone from right to left`() = look("rtl")

    @Test
    @Config(qualifiers = TABLET)
    fun `tablet turned`() = look("tablet")

    @Test
    @Config(qualifiers = "zh-rCN-sw800dp-w800dp-h1280dp-xlarge-notlong-notround-port-night-hdpi-keyshidden-nonav")
    fun `tablet upright in Chinese at night`() = look("tablet-zh-night")

    @Test
    fun `what was given by a test is what the pictures show`() {
        rig.engines.digit = 3
        val a = rig.open()
        rig.drawSeven(a)
        assertEquals("3", a.text(R.id.digit_now))
    }
}
