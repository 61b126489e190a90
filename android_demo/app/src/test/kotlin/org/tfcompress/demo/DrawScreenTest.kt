package org.tfcompress.demo

import android.os.PowerManager
import android.view.View
import android.view.ViewGroup
import android.widget.Switch
import android.widget.TextView
import java.util.concurrent.Executors
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNotEquals
import org.junit.Assert.assertNotSame
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import org.robolectric.annotation.GraphicsMode
import org.tfcompress.demo.ui.MainActivity
import org.tfcompress.demo.ui.view.InkView

@RunWith(RobolectricTestRunner::class)
@GraphicsMode(GraphicsMode.Mode.NATIVE)
@Config(sdk = [26, 35], qualifiers = PHONE)
class DrawScreenTest {
    @get:Rule
    val rig = Rig()

    private fun MainActivity.row(id: String): View {
        val at = rig.manifest.models.indexOfFirst { it.id == id }
        return view<ViewGroup>(R.id.rows).getChildAt(at)
    }

    @Test
    fun `a stroke is read once by every variant that can run`() {
        val a = rig.open()
        assertEquals("Draw a digit, or pick a sample", a.text(R.id.result))
        rig.drawSeven(a)
        val able = rig.manifest.models.filter { it.encryption == null && it.id != "dynamic" }
        assertEquals(able.size, rig.engines.inputs.size)
        val int8 = rig.engines.inputs[able.indexOfFirst { it.id == "int8_qat" }]
        assertEquals("paper", -128, int8[0].toInt())
        assertEquals("ink", 127, int8.max().toInt())
        assertEquals("96% sure it reads 7", a.text(R.id.result))
        assertTrue(a.text(R.id.agreement), "5 of 5 variants agree with 7." in a.text(R.id.agreement))
        val spoken = a.row("int8_qat").contentDescription.toString()
        assertTrue(spoken, Regex("int8.*: digit 7, 96%, agrees, ${rig.kilobytes("int8_qat")}, .* µs").matches(spoken))
    }

    @Test
    fun `one that differs is marked, and its details tell by how much`() {
        rig.engines.others["int8_ptq"] = 1
        val a = rig.open()
        rig.drawSeven(a)
        val row = a.row("int8_ptq")
        assertTrue(row.words(), "differs" in row.words())
        assertTrue(a.text(R.id.agreement), "4 of 5 variants agree with 7." in a.text(R.id.agreement))
        assertFalse(row.view<View>(R.id.details).isShown)
        assertTrue(row.performClick())
        assertTrue(row.view<View>(R.id.details).isShown)
        assertTrue(row.words(), "the lines are float32. Largest difference: 9" in row.words())
        assertTrue(row.view<View>(R.id.bars).contentDescription.startsWith("Probabilities: 1: 9"))
    }

    @Test
    fun `a sample shows its label and drawing again replaces it`() {
        val a = rig.open()
        val tile = a.view<ViewGroup>(R.id.samples).getChildAt(6)
        assertEquals("Sample image of a 3", tile.contentDescription)
        tile.performClick()
        rig.idle()
        assertTrue(a.text(R.id.agreement), "true label is 3." in a.text(R.id.agreement))
        rig.drawSeven(a)
        assertFalse("true label" in a.text(R.id.agreement))
    }

    @Test
    fun `undo and clear can be undone, by touch and by a screen reader`() {
        val a = rig.open()
        val pad = a.view<InkView>(R.id.ink)
        assertFalse(a.view<View>(R.id.undo).isEnabled)
        rig.drawSeven(a)
        rig.stroke(a, listOf(0.5f to 0.5f))
        a.click(R.id.undo)
        assertEquals(1, pad.ink.strokes().size)
        a.click(R.id.clear)
        assertTrue(pad.ink.isEmpty)
        assertEquals("Draw a digit, or pick a sample", a.text(R.id.result))
        a.click(R.id.undo)
        assertEquals(1, pad.ink.strokes().size)
        val info = pad.createAccessibilityNodeInfo()
        assertEquals(listOf("Undo", "Clear"), info.actionList.mapNotNull { it.label?.toString() })
        assertTrue(pad.performAccessibilityAction(R.id.clear, null))
        assertTrue(pad.ink.isEmpty)
        assertTrue(pad.performAccessibilityAction(R.id.undo, null))
        assertFalse(pad.ink.isEmpty)
    }

    @Test
    fun `nothing is lost when the phone turns or the process is killed`() {
        val before = rig.open()
        rig.drawSeven(before)
        before.row("float16").performClick()
        val after = rig.change("+land")
        assertNotSame(before, after)
        assertEquals(1, after.view<InkView>(R.id.ink).ink.strokes().size)
        assertEquals("96% sure it reads 7", after.text(R.id.result))
        assertTrue(after.row("float16").view<View>(R.id.details).isShown)
        after.view<ViewGroup>(R.id.samples).getChildAt(6).performClick()
        val reborn = rig.reborn()
        assertTrue(reborn.text(R.id.agreement), "true label is 3." in reborn.text(R.id.agreement))
    }

    @Test
    fun `a changed model is marked and never run`() {
        val bytes = rig.bytes("int8_qat.tflite")
        bytes[bytes.size / 2] = (bytes[bytes.size / 2].toInt() xor 1).toByte()
        rig.changed["int8_qat.tflite"] = bytes
        rig.changed["float16.tflite"] = rig.bytes("float16.tflite").copyOf(9000)
        rig.changed["int8_ptq.tflite"] = null
        val a = rig.open()
        rig.drawSeven(a)
        assertTrue("changed after it was signed" in a.row("int8_qat").words())
        assertTrue("another size" in a.row("float16").words())
        assertTrue("missing" in a.row("int8_ptq").words())
        assertTrue("Needs runtime 2.17.0; this app has 2.16.1." in a.row("dynamic").words())
        assertTrue("Encrypted" in a.row("int8_compressed_encrypted").words())
        assertEquals("only two are left", 2, rig.engines.inputs.size)
    }

    @Test
    fun `without a trusted manifest nothing runs`() {
        rig.changed["manifest.json"] = rig.bytes("manifest.json").also { it[200] = (it[200].toInt() xor 1).toByte() }
        val a = rig.open()
        rig.drawSeven(a)
        assertEquals(0, rig.engines.inputs.size)
        assertTrue(a.text(R.id.agreement), "no model is run" in a.text(R.id.agreement))
        assertEquals(0, a.view<ViewGroup>(R.id.rows).childCount)
    }

    @Test
    fun `a variant that the runtime refuses says so`() {
        rig.engines.broken += rig.manifest.models.map { it.id }
        val a = rig.open()
        rig.drawSeven(a)
        assertEquals("No variant can run", a.text(R.id.result))
        assertTrue("no kernel for this operator" in a.row("float32").words())
    }

    @Test
    fun `battery saver changes the variant in use, and the panel says why`() {
        val a = rig.open()
        assertTrue(a.text(R.id.policy_reason).startsWith("Chosen by accuracy"))
        rig.drawSeven(a)
        assertEquals("float16 weights", a.text(R.id.policy_choice))
        assertTrue(a.text(R.id.policy_reason), "most accurate" in a.text(R.id.policy_reason))
        shadowOf(a.getSystemService(PowerManager::class.java)).setIsPowerSaveMode(true)
        rig.drawSeven(a)
        assertTrue(a.text(R.id.policy_reason), a.text(R.id.policy_reason).startsWith("Battery saver is on"))
        assertEquals("Battery saver on", a.text(R.id.policy_saver))
        assertNotEquals("float16 weights", a.text(R.id.policy_choice))
        a.view<Switch>(R.id.adaptive).performClick()
        rig.idle()
        assertEquals("float32", a.text(R.id.policy_choice))
        assertEquals("Automatic choice is off: the reference is used.", a.text(R.id.policy_reason))
    }

    @Test
    @Config(sdk = [35])
    fun `heat is told in words`() {
        val words = listOf("normal", "light", "moderate", "severe", "critical", "critical", "critical")
        val a = rig.open()
        val power = shadowOf(a.getSystemService(PowerManager::class.java))
        val reasons = words.mapIndexed { status, word ->
            power.setCurrentThermalStatus(status)
            rig.drawSeven(a)
            assertEquals("Heat: $word", a.text(R.id.policy_heat))
            a.text(R.id.policy_reason).substringBefore('.')
        }
        assertEquals("The phone is cool", reasons[0])
        assertTrue(reasons[1], reasons[1].startsWith("The phone is warm"))
        assertTrue(reasons[3], reasons[3].startsWith("The phone is hot"))
    }

    @Test
    @Config(sdk = [26])
    fun `before Android 10 the heat is not known`() {
        val a = rig.open()
        rig.drawSeven(a)
        assertEquals("Heat: not told before Android 10", a.text(R.id.policy_heat))
    }

    @Test
    @Config(qualifiers = "zh-rCN-$PHONE")
    fun `speaks Chinese`() {
        val a = rig.open()
        assertEquals("压缩数字", a.title.toString())
        rig.drawSeven(a)
        assertEquals("识别为 7，置信度 96%", a.text(R.id.result))
        assertTrue(a.row("int8_ptq").words(), "int8：训练后量化" in a.row("int8_ptq").words())
    }

    @Test
    fun `answers to an older drawing are dropped`() {
        val models = Executors.newSingleThreadExecutor()
        rig.on(models)
        val a = rig.open()
        models.submit {}.get()
        rig.idle()
        rig.drawSeven(a)
        a.click(R.id.clear)
        models.submit {}.get()
        rig.idle()
        assertEquals("Draw a digit, or pick a sample", a.text(R.id.result))
        models.shutdown()
        assertEquals(RuntimeEnvironment.getApplication(), a.application)
        assertTrue(a.view<TextView>(R.id.digit_now).text.isNotEmpty())
    }
}
