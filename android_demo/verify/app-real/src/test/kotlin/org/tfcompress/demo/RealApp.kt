package org.tfcompress.demo

import android.graphics.Bitmap
import android.graphics.Canvas
import android.os.Looper
import android.os.SystemClock
import android.view.MotionEvent
import android.view.View
import android.view.ViewGroup
import android.widget.RadioGroup
import java.io.File
import org.junit.rules.ExternalResource
import org.robolectric.Robolectric
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.android.controller.ActivityController
import org.tfcompress.demo.core.engine.RuntimeVersion
import org.tfcompress.demo.host.LiteRtJnaFactory
import org.tfcompress.demo.ui.MainActivity
import org.tfcompress.demo.ui.view.InkView
import org.tfcompress.demo.work.Answers
import org.tfcompress.demo.work.Shelf

/** The app as it is, but for the engines' Android binding: LiteRT's C library takes its place. */
class RealApp : ExternalResource() {
    val app get() = RuntimeEnvironment.getApplication() as App
    private lateinit var controller: ActivityController<MainActivity>
    val activity: MainActivity get() = controller.get()
    val shelf get() = app.graph.gallery.shelf.value as Shelf.Open

    override fun before() {
        val version = checkNotNull(RuntimeVersion.parse("2.3.0"))
        app.parts = app.parts.copy(engines = LiteRtJnaFactory(System.getProperty("litert.lib"), version))
        controller = Robolectric.buildActivity(MainActivity::class.java).setup()
        waitFor("the models") { app.graph.gallery.shelf.value is Shelf.Open }
    }

    override fun after() {
        controller.pause().stop().destroy()
    }

    /** Lets the app's threads work until something has happened. */
    fun waitFor(what: String, seconds: Int = 120, condition: () -> Boolean) {
        val end = System.nanoTime() + seconds * 1_000_000_000L
        while (!condition()) {
            check(System.nanoTime() < end) { "$what did not come in $seconds s" }
            Thread.sleep(5)
            shadowOf(Looper.getMainLooper()).idle()
        }
    }

    /** The answers that follow on an action. */
    fun read(act: () -> Unit): Answers {
        app.graph.classifier.clear()
        act()
        waitFor("an answer") { app.graph.classifier.answers.value != null }
        return checkNotNull(app.graph.classifier.answers.value)
    }

    fun go(nav: Int) {
        activity.view<RadioGroup>(R.id.nav).check(nav)
        shadowOf(Looper.getMainLooper()).idle()
    }

    /** Draws a stroke through corners of the unit square. */
    fun draw(vararg corners: Pair<Float, Float>) {
        val pad = activity.view<InkView>(R.id.ink)
        val points = corners.asList().zipWithNext().flatMap { (a, b) ->
            (0..10).map { Pair(a.first + (b.first - a.first) * it / 10, a.second + (b.second - a.second) * it / 10) }
        }
        val side = minOf(pad.width, pad.height)
        val left = (pad.width - side) / 2
        val start = SystemClock.uptimeMillis()
        points.forEachIndexed { i, (x, y) ->
            val action = when (i) {
                0 -> MotionEvent.ACTION_DOWN
                points.size - 1 -> MotionEvent.ACTION_UP
                else -> MotionEvent.ACTION_MOVE
            }
            pad.dispatchTouchEvent(MotionEvent.obtain(start, start + i, action, left + x * side, y * side, 0))
        }
    }

    /** Keeps a picture of the window. */
    fun shot(name: String) {
        shadowOf(Looper.getMainLooper()).idle()
        val decor = checkNotNull(activity.window.decorView)
        jump(decor)
        val bitmap = Bitmap.createBitmap(decor.width, decor.height, Bitmap.Config.ARGB_8888)
        decor.draw(Canvas(bitmap))
        val folder = File(System.getProperty("screenshot.dir") ?: "build/screenshots").apply { mkdirs() }
        File(folder, "real-$name.png").outputStream().use { bitmap.compress(Bitmap.CompressFormat.PNG, 100, it) }
    }

    private fun jump(view: View) {
        view.jumpDrawablesToCurrentState()
        if (view is ViewGroup) (0 until view.childCount).forEach { jump(view.getChildAt(it)) }
    }

    companion object {
        /** A seven. */
        val SEVEN = arrayOf(0.28f to 0.24f, 0.5f to 0.235f, 0.72f to 0.24f, 0.6f to 0.5f, 0.47f to 0.78f, 0.45f to 0.8f)
    }
}
