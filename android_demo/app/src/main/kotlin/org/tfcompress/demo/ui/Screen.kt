package org.tfcompress.demo.ui

import android.os.Bundle
import android.view.LayoutInflater
import android.view.View
import android.view.ViewGroup
import android.widget.TextView
import org.tfcompress.demo.App
import org.tfcompress.demo.R
import org.tfcompress.demo.view
import org.tfcompress.demo.work.Live

/** One of the app's screens: a layout, what it observes while it is shown, and what it keeps over rotation. */
abstract class Screen(protected val activity: MainActivity, layout: Int, parent: ViewGroup) {
    protected val graph = (activity.application as App).graph
    protected val inflater: LayoutInflater = activity.layoutInflater
    val root: View = checkNotNull(inflater.inflate(layout, parent, false))
    protected val resources = checkNotNull(activity.resources)
    protected val figures = Figures(resources)
    protected val reasons = Reasons(resources)
    private val observing = ArrayList<AutoCloseable>()

    /** Begins to observe; [saved] is what [save] wrote, or null. */
    abstract fun show(saved: Bundle?)

    /** Writes what must not be lost. */
    open fun save(out: Bundle) = Unit

    /** Stops observing. */
    fun hide() {
        observing.forEach(AutoCloseable::close)
        observing.clear()
    }

    protected fun <T> Live<T>.watch(observer: (T) -> Unit) {
        observing.add(observe(observer))
    }

    /** A low window has no room for what the navigation says as well. */
    protected val low = resources.configuration.screenHeightDp < 480

    protected fun head(title: Int, about: Int) {
        root.view<TextView>(R.id.heading).setText(title)
        root.view<TextView>(R.id.subheading).setText(about)
    }

    protected fun <T : View> find(id: Int): T = root.view(id)
}
