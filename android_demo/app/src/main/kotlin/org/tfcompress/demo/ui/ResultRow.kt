package org.tfcompress.demo.ui

import android.view.LayoutInflater
import android.view.View
import android.view.ViewGroup
import android.widget.LinearLayout
import android.widget.TextView
import org.tfcompress.demo.R
import org.tfcompress.demo.core.bench.BenchReport
import org.tfcompress.demo.core.bench.BenchResult
import org.tfcompress.demo.shown
import org.tfcompress.demo.ui.view.MeterView
import org.tfcompress.demo.view

/** One variant's figures: median as a bar with a tick at the 90th percentile, all the rest when it is opened. */
class ResultRow(
    private val inflater: LayoutInflater,
    parent: ViewGroup,
    val result: BenchResult,
    private val report: BenchReport,
    private val figures: Figures
) {
    val root: View = checkNotNull(inflater.inflate(R.layout.row_result, parent, false))
    private val resources = checkNotNull(root.resources)
    private val details = root.view<LinearLayout>(R.id.details)

    /** [slowest] is the latency, in microseconds, that fills the bar. */
    fun show(title: String, slowest: Double) {
        val stats = result.latency
        root.view<TextView>(R.id.name).text = title
        root.view<TextView>(R.id.value).text = figures.micros(stats.p50Us)
        root.view<MeterView>(R.id.meter).show(stats.p50Us / slowest, stats.p90Us / slowest)
        val top1 = report.scores?.top1(result.name)
        root.view<TextView>(R.id.figures).text = listOfNotNull(
            resources.getString(R.string.p90, figures.micros(stats.p90Us)),
            figures.size(result.plain.bytes),
            top1?.let { resources.getString(R.string.on_samples, figures.percent(it)) }
        ).joinToString(" · ")
        facts().forEach { (name, value) -> add(name, value) }
        details.shown = false
        root.setOnClickListener { details.shown = !details.shown }
    }

    private fun facts(): List<Pair<Int, String>> {
        val stats = result.latency
        val agreement = report.scores?.agreement(result.name)
        return listOfNotNull(
            R.string.fact_runs to figures.count(stats.n.toLong()),
            R.string.fact_mean to resources.getString(
                R.string.mean_and_deviation,
                figures.micros(stats.meanUs),
                figures.micros(stats.stdUs)
            ),
            R.string.fact_range to listOf(stats.minUs, stats.maxUs).joinToString(" – ") { figures.micros(it) },
            R.string.fact_tail to listOf(stats.p95Us, stats.p99Us).joinToString(" · ") { figures.micros(it) },
            R.string.fact_open to figures.micros(result.info.initMicros),
            R.string.fact_first to figures.micros(result.firstUs),
            R.string.fact_copy to figures.micros(result.copyInUs),
            result.nativeHeapBytes?.let { R.string.fact_heap to figures.size(it) },
            result.energy.joules?.let { R.string.fact_energy to figures.millijoules(it) },
            agreement?.let { R.string.fact_agreement to figures.percent(it) },
            R.string.fact_engine to figures.engine(result.info)
        )
    }

    private fun add(name: Int, value: String) {
        val row = checkNotNull(inflater.inflate(R.layout.row_fact, details, false))
        row.view<TextView>(R.id.fact).setText(name)
        row.view<TextView>(R.id.value).text = value
        details.addView(row)
    }
}
