package org.tfcompress.demo

import android.view.View
import android.view.ViewGroup
import android.widget.EditText
import android.widget.TextView
import java.util.Locale
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.annotation.Config
import org.robolectric.annotation.GraphicsMode
import org.tfcompress.demo.core.run.VariantState
import org.tfcompress.demo.ui.MainActivity
import org.tfcompress.demo.work.Shelf

@RunWith(RobolectricTestRunner::class)
@GraphicsMode(GraphicsMode.Mode.NATIVE)
@Config(sdk = [26, 35], qualifiers = PHONE)
class ModelsScreenTest {
    @get:Rule
    val rig = Rig()

    private fun MainActivity.card(id: String): View {
        val at = rig.manifest.models.indexOfFirst { it.id == id }
        return view<ViewGroup>(R.id.cards).getChildAt(at)
    }

    private fun View.click(id: Int) {
        assertTrue(view<View>(id).performClick())
        rig.idle()
    }

    private fun View.text(id: Int) = view<TextView>(id).text.toString()

    private fun state(id: String) = (rig.app.graph.gallery.shelf.value as Shelf.Open).states[id]

    @Test
    fun `tells what each model is and how it was made`() {
        val a = rig.open(R.id.nav_models)
        assertEquals("Signature valid", a.text(R.id.signature))
        val card = a.card("int8_compressed")
        assertEquals("Verified", card.text(R.id.state))
        val times = rig.bytesOf("float32").toDouble() / rig.bytesOf("int8_compressed")
        val smaller = String.format(Locale.ENGLISH, "%.1f× smaller", times)
        assertEquals("${rig.kilobytes("int8_compressed")} · $smaller", card.text(R.id.size))
        assertTrue(card.words(), "Pruned · 50%" in card.words())
        assertFalse(card.view<View>(R.id.details).isShown)
        card.performClick()
        val entry = checkNotNull(rig.manifest.model("int8_compressed"))
        for (fact in listOf("zero point -128", "CONV_2D 3", "1.14.0", entry.digest.sha256.take(16), "sparsity 0.5")) {
            assertTrue(fact, fact in card.words())
        }
        val turned = rig.change("+land")
        assertTrue("stays open", turned.card("int8_compressed").view<View>(R.id.details).isShown)
    }

    @Test
    fun `an encrypted model opens with its passphrase only`() {
        val a = rig.open(R.id.nav_models)
        val card = a.card("int8_compressed_encrypted")
        assertEquals("Locked", card.text(R.id.state))
        card.click(R.id.unlock)
        assertEquals("Enter the passphrase first.", card.text(R.id.unlock_message))
        card.view<EditText>(R.id.passphrase).setText("a guess")
        card.click(R.id.unlock)
        assertEquals("That is not the passphrase of this model.", card.text(R.id.unlock_message))
        assertEquals(VariantState.Locked, state("int8_compressed_encrypted"))
        card.view<EditText>(R.id.passphrase).setText("tfcompress-demo")
        card.view<EditText>(R.id.passphrase).onEditorAction(android.view.inputmethod.EditorInfo.IME_ACTION_DONE)
        rig.idle()
        assertEquals(VariantState.Ready, state("int8_compressed_encrypted"))
        assertEquals("Verified", card.text(R.id.state))
        assertEquals("", card.text(R.id.passphrase))
        rig.go(a, R.id.nav_draw)
        rig.drawSeven(a)
        assertTrue(a.text(R.id.agreement), "6 of 6 variants" in a.text(R.id.agreement))
        rig.go(a, R.id.nav_models)
        a.card("int8_compressed_encrypted").click(R.id.lock)
        assertEquals(VariantState.Locked, state("int8_compressed_encrypted"))
    }

    @Test
    fun `a changed ciphertext is refused before any passphrase`() {
        val name = "int8_compressed_encrypted.tflite.enc"
        rig.changed[name] = rig.bytes(name).also { it[100] = (it[100].toInt() xor 4).toByte() }
        val card = rig.open(R.id.nav_models).card("int8_compressed_encrypted")
        assertEquals("File changed", card.text(R.id.state))
        assertFalse(card.view<View>(R.id.unlock_box).isShown)
    }

    @Test
    fun `verify again finds what changed since`() {
        val a = rig.open(R.id.nav_models)
        val card = a.card("int8_ptq")
        card.performClick()
        card.click(R.id.verify)
        assertEquals("Checked against the signed hash.", card.text(R.id.outcome))
        rig.changed["int8_ptq.tflite"] =
            rig.bytes("int8_ptq.tflite").also { it[4000] = (it[4000].toInt() xor 1).toByte() }
        card.click(R.id.verify)
        assertEquals("File changed", card.text(R.id.state))
        assertTrue("changed after it was signed" in card.words())
        assertFalse(card.view<View>(R.id.self_test).isEnabled)
    }

    @Test
    fun `self-test compares with the golden outputs`() {
        val a = rig.open(R.id.nav_models)
        val card = a.card("int8_qat")
        card.performClick()
        card.click(R.id.self_test)
        // The scripted engine does not compute: it has to fail.
        assertTrue(card.text(R.id.outcome), card.text(R.id.outcome).startsWith("Failed on 8 golden inputs"))
        rig.changed["golden/in_int8.bin"] = null
        card.click(R.id.self_test)
        assertEquals("golden/in_int8.bin is missing", card.text(R.id.outcome))
        rig.engines.broken += "int8_ptq"
        val other = a.card("int8_ptq")
        other.performClick()
        other.click(R.id.self_test)
        assertEquals("The runtime could not run it: no kernel for this operator", other.text(R.id.outcome))
    }

    @Test
    fun `a manifest that is not ours is refused with the reason`() {
        fun refused(change: () -> Unit): String {
            rig.changed.clear()
            change()
            rig.on { it.run() }
            rig.app.graph.gallery.load()
            rig.idle()
            return rig.open(R.id.nav_models).view<View>(R.id.screen).words()
        }
        val signature = rig.bytes("manifest.sig")
        assertTrue("There is no manifest" in refused { rig.changed["manifest.json"] = null })
        assertTrue("is not signed" in refused { rig.changed["manifest.sig"] = null })
        assertTrue("changed after it was signed" in refused { rig.changed["manifest.sig"] = signature.copyOf(20) })
        val other = String(rig.bytes("manifest.json")).replace(Regex("\"key_sha256\": \"....")) {
            "\"key_sha256\": \"0000"
        }
        assertTrue("another key" in refused { rig.changed["manifest.json"] = other.toByteArray() })
    }

    @Test
    fun `samples that were changed are left out and told`() {
        rig.changed["samples/images.bin"] = ByteArray(24 * 784)
        val a = rig.open(R.id.nav_models)
        assertTrue(a.text(R.id.signature_about), "samples/images.bin" in a.text(R.id.signature_about))
        rig.go(a, R.id.nav_draw)
        assertEquals(0, a.view<ViewGroup>(R.id.samples).childCount)
    }
}
