package org.tfcompress.demo.ui

import android.content.Intent
import android.net.Uri
import android.os.Build
import android.os.Bundle
import android.view.View
import android.view.ViewGroup
import android.widget.LinearLayout
import android.widget.RadioButton
import android.widget.RadioGroup
import android.widget.Switch
import android.widget.TextView
import org.tfcompress.demo.R
import org.tfcompress.demo.core.engine.Accelerator
import org.tfcompress.demo.core.engine.EngineConfig
import org.tfcompress.demo.core.settings.Settings
import org.tfcompress.demo.core.settings.Theme
import org.tfcompress.demo.shown
import org.tfcompress.demo.view
import org.tfcompress.demo.work.Answers
import org.tfcompress.demo.work.Shelf

/** Accelerator, theme, the local log, and what the app is made of. */
class SettingsScreen(activity: MainActivity, parent: ViewGroup) : Screen(activity, R.layout.screen_settings, parent) {
    private val store = graph.settings
    private val now: Settings get() = store.current.value
    private val monitor = MonitorCard(root, activity, graph, figures)

    override fun show(saved: Bundle?) {
        head(R.string.settings_title, R.string.settings_about)
        accelerators()
        threads()
        themes()
        versions()
        find<View>(R.id.reset).setOnClickListener {
            store.reset()
            activity.recreate()
        }
        find<Switch>(R.id.monitoring).setOnCheckedChangeListener { _, on -> store.change(now.copy(monitoring = on)) }
        store.current.watch { present(it) }
        graph.classifier.answers.watch { used(it) }
        graph.monitor.summary.watch { monitor.present(it) }
        monitor.bind()
    }

    private fun accelerators() {
        val group = find<RadioGroup>(R.id.accelerators)
        reason(Accelerator.GPU, R.id.use_gpu, R.id.gpu_reason)
        reason(Accelerator.NPU, R.id.use_npu, R.id.npu_reason)
        group.check(idOf(now.engine))
        group.setOnCheckedChangeListener { _, id ->
            val engine = when (id) {
                R.id.use_plain -> now.engine.copy(accelerator = Accelerator.CPU, xnnpack = false)
                R.id.use_gpu -> now.engine.copy(accelerator = Accelerator.GPU)
                R.id.use_npu -> now.engine.copy(accelerator = Accelerator.NPU)
                else -> now.engine.copy(accelerator = Accelerator.CPU, xnnpack = true)
            }
            store.change(now.copy(engine = engine))
            again()
        }
    }

    private fun idOf(config: EngineConfig): Int = when (config.accelerator) {
        Accelerator.GPU -> R.id.use_gpu
        Accelerator.NPU -> R.id.use_npu
        Accelerator.CPU -> if (config.xnnpack) R.id.use_cpu else R.id.use_plain
    }

    private fun reason(accelerator: Accelerator, button: Int, text: Int) {
        val why = graph.parts.engines.unavailable(accelerator)
        find<RadioButton>(button).isEnabled = why == null
        find<TextView>(text).text = why
        find<View>(text).shown = why != null
    }

    /** The picture on the Draw screen is read again, so that what is used now can be told. */
    private fun again() {
        graph.classifier.answers.value?.let { graph.classifier.classify(it.image, it.label, fresh = false) }
    }

    private fun threads() {
        fun change(by: Int) {
            store.change(now.copy(engine = now.engine.copy(threads = now.engine.threads + by)))
            again()
        }
        find<View>(R.id.fewer).setOnClickListener { change(-1) }
        find<View>(R.id.more_threads).setOnClickListener { change(1) }
    }

    private fun themes() {
        val group = find<RadioGroup>(R.id.themes)
        group.check(THEMES.first { it.second == now.theme }.first)
        group.setOnCheckedChangeListener { _, id ->
            val theme = THEMES.first { it.first == id }.second
            if (theme != now.theme) {
                store.change(now.copy(theme = theme))
                activity.recreate()
            }
        }
        val language = find<View>(R.id.language)
        language.shown = Build.VERSION.SDK_INT >= 33
        language.setOnClickListener {
            val app = Uri.fromParts("package", activity.packageName, null)
            activity.startActivity(Intent("android.settings.APP_LOCALE_SETTINGS", app))
        }
    }

    private fun present(settings: Settings) {
        val threads = settings.engine.threads
        find<TextView>(R.id.threads).text = resources.getQuantityString(R.plurals.threads, threads, threads)
        find<View>(R.id.fewer).isEnabled = threads > 1
        find<View>(R.id.more_threads).isEnabled = threads < maxOf(graph.phone.cores, EngineConfig.defaultThreads(4))
        find<Switch>(R.id.monitoring).isChecked = settings.monitoring
    }

    private fun used(answers: Answers?) {
        val info = answers?.chosen?.info
        find<TextView>(R.id.used_now).text = if (info == null) {
            resources.getString(R.string.not_run_yet)
        } else {
            resources.getString(R.string.used_now, figures.engine(info))
        }
    }

    private fun versions() {
        val list = find<LinearLayout>(R.id.versions)
        val runtime = graph.parts.engines.runtime
        val shelf = graph.gallery.shelf.value as? Shelf.Open
        val rows = listOfNotNull(
            R.string.version_app to graph.phone.version,
            R.string.version_runtime to "${runtime.name} ${runtime.version}",
            R.string.version_system to "${graph.phone.device.system} (API ${graph.phone.device.sdk})",
            R.string.version_device to graph.phone.device.name,
            shelf?.let { R.string.version_models to it.manifest.created.take(10) },
            shelf?.let { R.string.version_manifest to it.sha256.take(16) }
        )
        for ((name, value) in rows) {
            val row = checkNotNull(inflater.inflate(R.layout.row_fact, list, false))
            row.view<TextView>(R.id.fact).setText(name)
            row.view<TextView>(R.id.value).text = value
            list.addView(row)
        }
    }

    private companion object {
        val THEMES = listOf(
            R.id.theme_system to Theme.SYSTEM,
            R.id.theme_light to Theme.LIGHT,
            R.id.theme_dark to Theme.DARK
        )
    }
}
