package org.tfcompress.demo.ui

import android.os.Build
import android.view.LayoutInflater
import android.view.View
import android.view.ViewGroup
import android.widget.ImageView
import android.widget.TextView
import org.tfcompress.demo.Api30
import org.tfcompress.demo.R
import org.tfcompress.demo.core.manifest.ModelEntry
import org.tfcompress.demo.core.run.Outcome
import org.tfcompress.demo.core.run.VariantState
import org.tfcompress.demo.shown
import org.tfcompress.demo.ui.view.BarsView
import org.tfcompress.demo.ui.view.MeterView
import org.tfcompress.demo.view

/** One variant on the Draw screen: its answer in a line, all probabilities when it is opened. */
class VariantRow(inflater: LayoutInflater, parent: ViewGroup, val entry: ModelEntry, private val figures: Figures) {
    val root: View = checkNotNull(inflater.inflate(R.layout.row_variant, parent, false))
    private val resources = checkNotNull(root.resources)
    private val reasons = Reasons(resources)
    private val digit = root.view<TextView>(R.id.digit)
    private val badge = root.view<View>(R.id.badge)
    private val icon = root.view<ImageView>(R.id.state)
    private val line = root.view<TextView>(R.id.figures)
    private val percent = root.view<TextView>(R.id.percent)
    private val agrees = root.view<TextView>(R.id.agrees)
    private val meter = root.view<MeterView>(R.id.meter)
    private val details = root.view<View>(R.id.details)
    private val title = entry.title.of(figures.locale.language)
    private var answered = false

    /** Whether the details are open. */
    var expanded = false
        set(value) {
            field = value
            details.shown = value && answered
            root.isClickable = answered
            if (Build.VERSION.SDK_INT >= 30) {
                val state = if (value) R.string.expanded else R.string.collapsed
                Api30.describeState(root, if (answered) resources.getText(state) else "")
            }
        }

    init {
        root.view<TextView>(R.id.name).text = title
        root.setOnClickListener { expanded = !expanded }
        wait(VariantState.Ready)
    }

    /** There is no picture: what is known is the size, or why it will not run. */
    fun wait(state: VariantState) {
        answered = false
        root.isActivated = false
        val able = state == VariantState.Ready
        digit.text = if (able) resources.getString(R.string.no_digit) else ""
        val look = Look.of(state)
        icon.setImageResource(look.icon)
        icon.shown = !able
        tint(if (able) R.color.surface_sunken else look.paper, R.color.text_muted)
        line.text = if (able) figures.size(entry.plain.bytes) else reasons.of(state)
        percent.shown = false
        agrees.shown = false
        meter.shown = able
        meter.show(0.0)
        root.contentDescription =
            if (able) title else resources.getString(R.string.row_not_run, title, reasons.of(state))
        expanded = false
    }

    /** Shows an answer; [reference] is the reference model's, or null. */
    fun show(outcome: Outcome, reference: Outcome.Answered?, labels: List<String>, inUse: Boolean) {
        root.isActivated = inUse
        when (outcome) {
            is Outcome.Unavailable -> wait(outcome.state)
            is Outcome.Answered -> answer(outcome, reference, labels)
        }
    }

    private fun answer(outcome: Outcome.Answered, reference: Outcome.Answered?, labels: List<String>) {
        answered = true
        val isReference = reference?.entry?.id == entry.id
        val differs = outcome.agrees == false
        digit.text = labels[outcome.prediction.label]
        icon.shown = false
        if (differs) tint(R.color.warn_soft, R.color.warn) else tint(R.color.accent_soft, R.color.on_accent_soft)
        val size = figures.size(entry.plain.bytes)
        val latency = figures.micros(outcome.medianMicros)
        val fallen = if (outcome.info.fellBack) figures.engine(outcome.info) else null
        line.text =
            listOfNotNull(
                size, latency, fallen,
                resources.getString(R.string.in_use).takeIf {
                    root.isActivated
                }
            ).joinToString(" · ")
        percent.shown = true
        percent.text = figures.confidence(outcome.prediction.confidence)
        val word = when {
            isReference -> R.string.reference
            differs -> R.string.differs
            else -> R.string.agrees
        }
        agrees.shown = outcome.agrees != null
        agrees.setText(word)
        val mark = if (differs) R.drawable.ic_differs else R.drawable.ic_yes
        agrees.setCompoundDrawablesRelativeWithIntrinsicBounds(if (isReference) 0 else mark, 0, 0, 0)
        meter.shown = true
        meter.show(outcome.prediction.confidence, strong = !differs)
        val verdict = resources.getString(word)
        root.contentDescription =
            resources.getString(R.string.row_spoken, title, digit.text, percent.text, verdict, size, latency)
        explain(outcome, reference.takeIf { !isReference }, labels)
        expanded = expanded
    }

    private fun explain(outcome: Outcome.Answered, reference: Outcome.Answered?, labels: List<String>) {
        val mine = outcome.prediction.probabilities
        val other = reference?.prediction?.probabilities
        val bars = root.view<BarsView>(R.id.bars)
        bars.show(mine, labels, outcome.prediction.label, other)
        bars.contentDescription = resources.getString(
            R.string.bars_spoken,
            mine.indices.sortedByDescending { mine[it] }.take(3)
                .joinToString { resources.getString(R.string.bar_spoken, labels[it], figures.percent(mine[it], 1)) }
        )
        val engine = figures.engine(outcome.info)
        root.view<TextView>(R.id.explain).text = if (reference == null || other == null) {
            resources.getString(R.string.explain_reference, engine)
        } else {
            val most = mine.indices.maxOf { Math.abs(mine[it] - other[it]) }
            val name = reference.entry.title.of(figures.locale.language)
            resources.getString(R.string.explain_other, name, figures.percent(most, 1), engine)
        }
    }

    private fun tint(paper: Int, ink: Int) {
        badge.backgroundTintList = root.context.getColorStateList(paper)
        digit.setTextColor(root.context.getColor(ink))
    }
}
