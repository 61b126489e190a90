package org.tfcompress.demo.ui

import android.app.Activity
import android.view.View
import android.widget.TextView
import org.tfcompress.demo.AppGraph
import org.tfcompress.demo.R
import org.tfcompress.demo.shown
import org.tfcompress.demo.ui.view.BarsView
import org.tfcompress.demo.view
import org.tfcompress.demo.work.MonitorSummary
import org.tfcompress.demo.work.Shelf
import org.tfcompress.demo.work.Workshop

/** The local log: how many answers, how sure; export and forget. */
class MonitorCard(
    private val root: View,
    private val activity: Activity,
    private val graph: AppGraph,
    private val figures: Figures
) {
    private val resources = checkNotNull(root.resources)

    /** Looks at the log and connects the buttons. */
    fun bind() {
        root.view<View>(R.id.export_log).setOnClickListener {
            graph.thread.run({ graph.gallery.workshop?.let(graph.monitor::export) }) { text -> text?.let { share(it) } }
        }
        root.view<View>(R.id.forget_log).setOnClickListener { look { graph.monitor.clear(it) } }
        look {}
    }

    private fun look(first: (Workshop) -> Unit) = graph.thread.run({
        graph.gallery.workshop?.let {
            first(it)
            graph.monitor.look(it)
        }
    }) { graph.monitor.summary.value = it }

    private fun share(text: String) = activity.share(
        text,
        "application/json",
        resources.getString(R.string.share_log),
        resources.getText(R.string.share_with)
    )

    /** Shows what was counted so far. */
    fun present(summary: MonitorSummary?) {
        val count = summary?.count ?: 0
        root.view<TextView>(R.id.monitor_about).text =
            resources.getQuantityString(R.plurals.monitor_about, count.toInt(), figures.count(count))
        val some = summary != null && count > 0
        val bars = root.view<BarsView>(R.id.confidence)
        bars.shown = some
        root.view<View>(R.id.confidence_about).shown = some
        root.view<View>(R.id.export_log).isEnabled = some
        root.view<View>(R.id.forget_log).isEnabled = some
        val edges = (graph.gallery.shelf.value as? Shelf.Open)?.manifest?.edges?.confidence
        if (summary == null || edges == null || !some) return
        val most = summary.confidence.max().toDouble()
        val labels = edges.dropLast(1).map { figures.plain(it * 100) }
        val best = summary.confidence.indices.maxBy { summary.confidence[it] }
        bars.show(DoubleArray(labels.size) { summary.confidence[it] / most }, labels, best)
        bars.contentDescription = labels.indices.filter { summary.confidence[it] > 0 }.joinToString {
            resources.getString(R.string.bin_spoken, labels[it], figures.count(summary.confidence[it]))
        }
    }
}
