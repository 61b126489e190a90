package org.tfcompress.demo.ui

import android.app.Activity
import android.content.Context
import android.content.res.Configuration
import android.os.Build
import android.os.Bundle
import android.view.View
import android.view.ViewGroup
import android.view.WindowInsets
import android.widget.RadioGroup
import org.tfcompress.demo.Api30
import org.tfcompress.demo.App
import org.tfcompress.demo.R
import org.tfcompress.demo.core.settings.Theme
import org.tfcompress.demo.data.SettingsStore
import org.tfcompress.demo.view
import org.tfcompress.demo.work.BenchState

/** The window: navigation, the screen that is open, theme, and the system's bars. */
class MainActivity : Activity() {
    private lateinit var frame: ViewGroup
    private var screen: Screen? = null
    private var open = R.id.nav_draw

    /** What each screen saved when it was left. */
    private val kept = Bundle()

    override fun attachBaseContext(base: Context) {
        super.attachBaseContext(base)
        val night = when (SettingsStore.stored(base).theme) {
            Theme.SYSTEM -> return
            Theme.LIGHT -> Configuration.UI_MODE_NIGHT_NO
            Theme.DARK -> Configuration.UI_MODE_NIGHT_YES
        }
        val type = base.resources.configuration.uiMode and Configuration.UI_MODE_NIGHT_MASK.inv()
        applyOverrideConfiguration(Configuration().apply { uiMode = type or night })
    }

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        setContentView(R.layout.activity_main)
        fitBars()
        frame = view(R.id.screen)
        state?.getBundle(KEPT)?.let(kept::putAll)
        open = screenOf(state?.getInt(OPEN, 0) ?: 0)
        val nav = view<RadioGroup>(R.id.nav)
        nav.check(open)
        // Told of the button that is left as well.
        nav.setOnCheckedChangeListener { _, id -> if (id != open) go(id) }
        go(open)
    }

    private fun go(id: Int) {
        leave()
        open = id
        frame.removeAllViews()
        val next = when (id) {
            R.id.nav_bench -> BenchScreen(this, frame)
            R.id.nav_models -> ModelsScreen(this, frame)
            R.id.nav_settings -> SettingsScreen(this, frame)
            else -> DrawScreen(this, frame)
        }
        frame.addView(next.root)
        next.show(kept.getBundle(name(id)))
        screen = next
    }

    private fun leave() {
        screen?.let { last ->
            kept.putBundle(name(open), Bundle().also(last::save))
            last.hide()
        }
        screen = null
    }

    /** Resource numbers differ between builds; names don't. */
    private fun name(id: Int): String = checkNotNull(resources.getResourceEntryName(id))

    private fun screenOf(index: Int): Int = SCREENS.getOrElse(index) { R.id.nav_draw }

    override fun onSaveInstanceState(out: Bundle) {
        super.onSaveInstanceState(out)
        screen?.let { kept.putBundle(name(open), Bundle().also(it::save)) }
        out.putBundle(KEPT, kept)
        out.putInt(OPEN, SCREENS.indexOf(open))
    }

    /** A benchmark goes on while the screen turns, but not when the user leaves: the system would slow it down. */
    override fun onStop() {
        super.onStop()
        val benchmark = (application as App).graph.benchmark
        if (!isChangingConfigurations && benchmark.state.value is BenchState.Running) benchmark.stop()
    }

    override fun onDestroy() {
        leave()
        super.onDestroy()
    }

    private fun fitBars() {
        if (Build.VERSION.SDK_INT < 30) return
        val window = checkNotNull(window)
        Api30.edgeToEdge(window)
        val bar = view<View>(R.id.bar)
        view<View>(R.id.root).setOnApplyWindowInsetsListener { root, insets ->
            pad(root, bar, Api30.padding(insets))
            insets
        }
    }

    /** The bar's own colour reaches under the system's bars; what is in it does not. */
    private fun pad(root: View, bar: View, edges: IntArray) {
        val (left, top, right, bottom) = edges
        if (!resources.getBoolean(R.bool.rail)) {
            root.setPadding(left, top, right, 0)
            bar.setPadding(0, 0, 0, bottom)
        } else {
            val rtl = root.layoutDirection == View.LAYOUT_DIRECTION_RTL
            root.setPadding(if (rtl) left else 0, 0, if (rtl) 0 else right, 0)
            bar.setPadding(if (rtl) 0 else left, top, if (rtl) right else 0, bottom)
            frame.setPadding(0, top, 0, bottom)
        }
    }

    private companion object {
        const val KEPT = "kept"
        const val OPEN = "open"
        val SCREENS = listOf(R.id.nav_draw, R.id.nav_bench, R.id.nav_models, R.id.nav_settings)
    }
}
