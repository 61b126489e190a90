package org.tfcompress.demo.ui

import android.os.Bundle
import android.view.View
import android.view.ViewGroup
import android.widget.Button
import android.widget.CheckBox
import android.widget.LinearLayout
import android.widget.RadioGroup
import android.widget.TextView
import org.tfcompress.demo.R
import org.tfcompress.demo.core.bench.BenchCsv
import org.tfcompress.demo.core.bench.BenchMode
import org.tfcompress.demo.core.bench.BenchReport
import org.tfcompress.demo.core.run.VariantState
import org.tfcompress.demo.shown
import org.tfcompress.demo.ui.view.FlowLayout
import org.tfcompress.demo.ui.view.MeterView
import org.tfcompress.demo.work.BenchState
import org.tfcompress.demo.work.Shelf

/** Choose a protocol and variants, watch the run, read and share the figures. */
class BenchScreen(activity: MainActivity, parent: ViewGroup) : Screen(activity, R.layout.screen_bench, parent) {
    private val modes = find<RadioGroup>(R.id.modes)
    private val chips = LinkedHashMap<String, CheckBox>()
    private val sort = find<RadioGroup>(R.id.sort)
    private var left: Set<String>? = null
    private var shelf: Shelf.Open? = null

    override fun show(saved: Bundle?) {
        head(R.string.bench_title, R.string.bench_about)
        modes.setOnCheckedChangeListener { _, _ -> aboutMode() }
        modes.check(MODES[saved?.getInt(MODE) ?: 0].first)
        left = saved?.getStringArrayList(LEFT)?.toSet()
        sort.check(SORTS[saved?.getInt(SORT) ?: 0])
        sort.setOnCheckedChangeListener { _, _ -> (graph.benchmark.state.value as? BenchState.Done)?.let(::results) }
        find<View>(R.id.start).setOnClickListener { graph.benchmark.start(chosen(), mode()) }
        find<View>(R.id.stop).setOnClickListener { graph.benchmark.stop() }
        find<View>(R.id.share_json).setOnClickListener { share("application/json") { it.toJson() } }
        find<View>(R.id.share_csv).setOnClickListener { share("text/csv") { BenchCsv.write(it) } }
        graph.settings.current.watch {
            find<TextView>(R.id.runs_on).text = resources.getString(R.string.runs_on, figures.engine(it.engine))
        }
        graph.gallery.shelf.watch { fill(it) }
        graph.benchmark.state.watch { present(it) }
    }

    override fun save(out: Bundle) {
        out.putInt(MODE, MODES.indexOfFirst { it.first == modes.checkedRadioButtonId })
        out.putInt(SORT, SORTS.indexOf(sort.checkedRadioButtonId))
        out.putStringArrayList(LEFT, ArrayList(chips.filterValues { !it.isChecked }.keys))
    }

    private fun mode(): BenchMode = MODES.first { it.first == modes.checkedRadioButtonId }.second

    private fun chosen(): List<String> = chips.filterValues { it.isChecked && it.isEnabled }.keys.toList()

    private fun aboutMode() {
        val mode = mode()
        val seconds = mode.minSeconds.toInt()
        val runs = figures.count(mode.runs.toLong())
        val text = resources.getQuantityString(R.plurals.mode_about, seconds, runs, seconds)
        val energy = if (mode.measuresEnergy) resources.getString(R.string.mode_energy) else null
        find<TextView>(R.id.mode_about).text = listOfNotNull(text, energy).joinToString(" ")
    }

    private fun fill(found: Shelf) {
        shelf = found as? Shelf.Open
        val group = find<FlowLayout>(R.id.chosen)
        val unchecked = if (chips.isEmpty()) left.orEmpty() else chips.filterValues { !it.isChecked }.keys.toSet()
        chips.clear()
        group.removeAllViews()
        shelf?.manifest?.models?.forEach { entry ->
            val chip = inflater.inflate(R.layout.item_chip, group, false) as CheckBox
            chip.text = entry.title.of(figures.locale.language)
            chip.isEnabled = shelf?.states?.get(entry.id) == VariantState.Ready
            chip.isChecked = chip.isEnabled && entry.id !in unchecked
            chip.setOnCheckedChangeListener { _, _ -> controls(graph.benchmark.state.value) }
            chips[entry.id] = chip
            group.addView(chip)
        }
        controls(graph.benchmark.state.value)
    }

    private fun present(state: BenchState) {
        controls(state)
        find<View>(R.id.results_box).shown = state is BenchState.Done
        find<TextView>(R.id.results_about).text = when (state) {
            BenchState.Idle, is BenchState.Running -> resources.getString(R.string.results_none)
            BenchState.Stopped -> resources.getString(R.string.results_stopped)
            is BenchState.Failed -> reasons.of(state.state)
            is BenchState.Done -> about(state.report)
        }
        if (state is BenchState.Done) results(state)
    }

    private fun controls(state: BenchState) {
        val running = state as? BenchState.Running
        root.keepScreenOn = running != null
        val start = find<Button>(R.id.start)
        start.shown = running == null
        start.isEnabled = chosen().isNotEmpty()
        find<View>(R.id.progress_box).shown = running != null
        val saver = graph.phone.condition().batterySaver == true
        find<View>(R.id.bench_warning).shown = saver && running == null
        start.setText(if (saver) R.string.start_anyway else R.string.start)
        if (running != null) {
            val title = shelf?.manifest?.model(running.model)?.title?.of(figures.locale.language).orEmpty()
            find<TextView>(R.id.progress_text).text =
                resources.getString(R.string.progress, figures.percent(running.fraction), title)
            find<MeterView>(R.id.progress).show(running.fraction)
        }
    }

    private fun about(report: BenchReport): String {
        val runtime = "${report.runtime.name} ${report.runtime.version}"
        val text = resources.getString(R.string.results_about, report.device.name, report.device.system, runtime)
        val marked = if (report.marked) resources.getString(R.string.results_marked) else null
        val energy = if (report.hasEnergy) resources.getString(R.string.results_energy) else null
        return listOfNotNull(text, marked, energy).joinToString(" ")
    }

    private fun results(state: BenchState.Done) {
        val report = state.report
        val list = find<LinearLayout>(R.id.results_rows)
        list.removeAllViews()
        // One disturbed 90th percentile must not make all bars short.
        val slowest = report.run.results.maxOf { minOf(it.latency.p90Us, 2 * it.latency.p50Us) }
        val rows = report.run.results.map { ResultRow(inflater, list, it, report, figures) }
        val sorted = when (sort.checkedRadioButtonId) {
            R.id.sort_size -> rows.sortedBy { it.result.plain.bytes }
            R.id.sort_accuracy -> rows.sortedByDescending { report.scores?.top1(it.result.name) ?: -1.0 }
            else -> rows.sortedBy { it.result.latency.p50Us }
        }
        for (row in sorted) {
            val entry = shelf?.manifest?.model(row.result.name)
            row.show(entry?.title?.of(figures.locale.language) ?: row.result.name, slowest)
            list.addView(row.root)
        }
    }

    private fun share(type: String, write: (BenchReport) -> String) {
        val report = (graph.benchmark.state.value as? BenchState.Done)?.report ?: return
        val subject = resources.getString(R.string.share_report)
        activity.share(write(report), type, subject, resources.getText(R.string.share_with))
    }

    private companion object {
        const val MODE = "mode"
        const val SORT = "sort"
        const val LEFT = "left"
        val MODES = listOf(
            R.id.mode_quick to BenchMode.QUICK,
            R.id.mode_standard to BenchMode.STANDARD,
            R.id.mode_thorough to BenchMode.THOROUGH
        )
        val SORTS = listOf(R.id.sort_latency, R.id.sort_size, R.id.sort_accuracy)
    }
}
