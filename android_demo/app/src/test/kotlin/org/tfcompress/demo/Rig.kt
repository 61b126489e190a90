package org.tfcompress.demo

import android.graphics.Bitmap
import android.graphics.Canvas
import android.os.Bundle
import android.os.Looper
import android.os.SystemClock
import android.view.MotionEvent
import android.view.View
import android.view.ViewGroup
import android.widget.RadioGroup
import android.widget.TextView
import java.io.File
import java.nio.ByteBuffer
import java.time.Instant
import java.util.Locale
import java.util.concurrent.Executor
import org.junit.Assert.assertTrue
import org.junit.rules.ExternalResource
import org.robolectric.Robolectric
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.android.controller.ActivityController
import org.tfcompress.demo.core.manifest.ManifestReader
import org.tfcompress.demo.core.run.Clock
import org.tfcompress.demo.core.security.ModelFiles
import org.tfcompress.demo.data.AssetFiles
import org.tfcompress.demo.ui.MainActivity
import org.tfcompress.demo.ui.view.InkView

const val PHONE = "w411dp-h891dp-normal-long-notround-any-xhdpi-keyshidden-nonav"
const val TABLET = "sw800dp-w1280dp-h800dp-xlarge-notlong-notround-land-hdpi-keyshidden-nonav"

/** The app on a bench: the bundled manifest and models, scripted engines, a clock that steps, no threads. */
class Rig : ExternalResource() {
    private val started = ArrayList<ActivityController<MainActivity>>()
    val app: App get() = RuntimeEnvironment.getApplication() as App
    private val assets by lazy { AssetFiles(app.assets, "models") }
    val manifest by lazy { ManifestReader.read(bytes("manifest.json")) }
    val engines by lazy { ScriptedEngines(manifest) }

    /** The size of a bundled model as the screens write it. */
    fun kilobytes(id: String): String = String.format(Locale.ENGLISH, "%.1f kB", bytesOf(id) / 1000.0)

    /** Bytes of a bundled model's file. */
    fun bytesOf(id: String): Long = checkNotNull(manifest.model(id)).digest.bytes

    /** Files that are other than the bundled ones; null is a missing file. */
    val changed = HashMap<String, ByteArray?>()

    fun bytes(path: String): ByteArray = checkNotNull(assets.read(path)).let { file ->
        ByteArray(file.remaining()).also { file.get(it) }
    }

    override fun before() = on(Executor { it.run() })

    /** Puts the app together anew, with another thread for the models. */
    fun on(models: Executor) {
        val files = ModelFiles { path ->
            if (path in changed) changed[path]?.let(ByteBuffer::wrap) else assets.read(path)
        }
        app.parts = app.parts.copy(
            files = files,
            engines = engines,
            models = models,
            clock = Clock { engines.nanos },
            pause = {},
            now = { Instant.parse("2026-05-04T03:02:01Z") }
        )
    }

    override fun after() = started.forEach { it.pause().stop().destroy() }

    /** Opens the app on a screen. */
    fun open(nav: Int = R.id.nav_draw): MainActivity {
        val controller = Robolectric.buildActivity(MainActivity::class.java).setup().also { started.add(it) }
        idle()
        go(controller.get(), nav)
        return controller.get()
    }

    fun go(activity: MainActivity, nav: Int) {
        activity.view<RadioGroup>(R.id.nav).check(nav)
        idle()
    }

    /** Turns or otherwise changes the device; the new activity. */
    fun change(qualifiers: String): MainActivity {
        RuntimeEnvironment.setQualifiers(qualifiers)
        started.last().configurationChange().visible()
        idle()
        return started.last().get()
    }

    /** The activity now: another one after it was made anew. */
    fun current(): MainActivity = started.last().get().also { idle() }

    /** Ends the process's activity and starts another from what was saved. */
    fun reborn(): MainActivity {
        val saved = Bundle()
        started.removeLast().saveInstanceState(saved).pause().stop().destroy()
        val next = Robolectric.buildActivity(MainActivity::class.java).setup(saved).also { started.add(it) }
        idle()
        return next.get()
    }

    fun idle() = shadowOf(Looper.getMainLooper()).idle()

    /** Draws a 7 on the pad. */
    fun drawSeven(activity: MainActivity) {
        val corners = listOf(0.28f to 0.24f, 0.72f to 0.24f, 0.45f to 0.78f)
        val points = corners.zipWithNext().flatMap { (a, b) ->
            (0..12).map { Pair(a.first + (b.first - a.first) * it / 12, a.second + (b.second - a.second) * it / 12) }
        }
        stroke(activity, points)
    }

    /** Draws one stroke through [points] of the unit square. */
    fun stroke(activity: MainActivity, points: List<Pair<Float, Float>>) {
        val pad = activity.view<InkView>(R.id.ink)
        val side = minOf(pad.width, pad.height).toFloat()
        assertTrue("the pad is laid out: $side", side > 0)
        val left = (pad.width - side) / 2
        val down = SystemClock.uptimeMillis()
        points.forEachIndexed { i, (x, y) ->
            val action = if (i == 0) MotionEvent.ACTION_DOWN else MotionEvent.ACTION_MOVE
            touch(pad, down, action, left + x * side, y * side)
        }
        val (x, y) = points.last()
        touch(pad, down, MotionEvent.ACTION_UP, left + x * side, y * side)
        idle()
    }

    private fun touch(pad: View, down: Long, action: Int, x: Float, y: Float) {
        val event = MotionEvent.obtain(down, SystemClock.uptimeMillis(), action, x, y, 0)
        pad.dispatchTouchEvent(event)
        event.recycle()
    }

    /** Keeps a picture of the window. */
    fun shot(activity: MainActivity, name: String): Bitmap {
        idle()
        val decor = checkNotNull(activity.window.decorView)
        decor.all().forEach(View::jumpDrawablesToCurrentState)
        val bitmap = Bitmap.createBitmap(decor.width, decor.height, Bitmap.Config.ARGB_8888)
        decor.draw(Canvas(bitmap))
        val folder = File(System.getProperty("screenshot.dir") ?: "build/screenshots").apply { mkdirs() }
        File(folder, "$name-${RuntimeEnvironment.getApiLevel()}.png").outputStream().use {
            assertTrue(bitmap.compress(Bitmap.CompressFormat.PNG, 100, it))
        }
        return bitmap
    }
}

fun MainActivity.text(id: Int): String = view<TextView>(id).text.toString()

fun MainActivity.click(id: Int) {
    assertTrue(view<View>(id).performClick())
    shadowOf(Looper.getMainLooper()).idle()
}

/** All views below, this one first. */
fun View.all(): List<View> = listOf(this) +
    (
        (this as? ViewGroup)?.let { group -> (0 until group.childCount).flatMap { group.getChildAt(it).all() } }
            ?: emptyList()
        )

/** What a person can read below this view. */
fun View.words(): String = all().filter { it.isShown }.filterIsInstance<TextView>().joinToString("\n") { it.text }
