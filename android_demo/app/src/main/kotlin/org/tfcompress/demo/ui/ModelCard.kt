package org.tfcompress.demo.ui

import android.view.LayoutInflater
import android.view.View
import android.view.ViewGroup
import android.widget.EditText
import android.widget.LinearLayout
import android.widget.TextView
import org.tfcompress.demo.AppGraph
import org.tfcompress.demo.R
import org.tfcompress.demo.core.manifest.ModelEntry
import org.tfcompress.demo.core.manifest.ModelManifest
import org.tfcompress.demo.core.run.SelfTestResult
import org.tfcompress.demo.core.run.VariantState
import org.tfcompress.demo.shown
import org.tfcompress.demo.ui.view.FlowLayout
import org.tfcompress.demo.ui.view.MeterView
import org.tfcompress.demo.view
import org.tfcompress.demo.work.Attempt
import org.tfcompress.demo.work.Shelf

/** One model: state, size beside the reference, recipe; opened, all facts, and the checks that can be repeated. */
class ModelCard(
    private val inflater: LayoutInflater,
    parent: ViewGroup,
    val entry: ModelEntry,
    private val manifest: ModelManifest,
    private val graph: AppGraph
) {
    val root: View = checkNotNull(inflater.inflate(R.layout.card_model, parent, false))
    private val resources = checkNotNull(root.resources)
    private val figures = Figures(resources)
    private val reasons = Reasons(resources)
    private val outcome = root.view<TextView>(R.id.outcome)
    private val passphrase = root.view<EditText>(R.id.passphrase)
    private val unlock = root.view<View>(R.id.unlock)

    /** Whether the facts are open. */
    var expanded = false
        set(value) {
            field = value
            root.view<View>(R.id.details).shown = value
            root.view<TextView>(R.id.more).setText(if (value) R.string.collapse else R.string.expand)
        }

    init {
        root.view<TextView>(R.id.name).text = entry.title.of(figures.locale.language)
        sizes()
        Recipes(resources, figures).fill(inflater, root.view<FlowLayout>(R.id.recipe), entry.recipe)
        val facts = root.view<LinearLayout>(R.id.facts)
        ModelFacts(resources, figures).of(entry).forEach { (name, value) -> add(facts, name, value) }
        root.setOnClickListener { expanded = !expanded }
        root.view<View>(R.id.verify).setOnClickListener { verify() }
        root.view<View>(R.id.self_test).setOnClickListener { test() }
        root.view<View>(R.id.lock).setOnClickListener { graph.gallery.lock(entry) }
        unlock.setOnClickListener { unlock() }
        passphrase.setOnEditorActionListener { _, _, _ ->
            unlock()
            true
        }
        outcome.shown = false
        expanded = false
    }

    /** Shows the state of the file. */
    fun show(state: VariantState) {
        val look = Look.of(state)
        root.view<TextView>(R.id.state).show(look, look.word)
        val reason = root.view<TextView>(R.id.reason)
        reason.text = reasons.of(state)
        reason.shown = state != VariantState.Ready
        val locked = state == VariantState.Locked
        root.view<View>(R.id.unlock_box).shown = locked
        root.view<View>(R.id.self_test).isEnabled = state == VariantState.Ready || state is VariantState.Failed
        root.view<View>(R.id.lock).shown = entry.encryption != null && state == VariantState.Ready
    }

    private fun sizes() {
        val base = checkNotNull(manifest.model(manifest.reference)).plain.bytes
        val bytes = entry.plain.bytes
        root.view<TextView>(R.id.size).text = if (entry.id == manifest.reference) {
            resources.getString(R.string.size_reference, figures.size(bytes))
        } else {
            resources.getString(R.string.size_of, figures.size(bytes), figures.ratio(base.toDouble() / bytes))
        }
        val top1 = entry.metrics?.top1
        val accuracy = root.view<TextView>(R.id.accuracy)
        accuracy.shown = top1 != null
        accuracy.text = top1?.let { resources.getString(R.string.accuracy, figures.percent(it, 2)) }
        root.view<MeterView>(R.id.meter).show(bytes.toDouble() / base)
    }

    private fun add(list: LinearLayout, name: Int, value: String) {
        val row = checkNotNull(inflater.inflate(R.layout.row_fact, list, false))
        row.view<TextView>(R.id.fact).setText(name)
        row.view<TextView>(R.id.value).text = value
        list.addView(row)
    }

    private fun say(text: CharSequence, icon: Int = 0) {
        outcome.shown = true
        outcome.text = text
        outcome.setCompoundDrawablesRelativeWithIntrinsicBounds(icon, 0, 0, 0)
    }

    private fun verify() {
        say(resources.getText(R.string.verifying))
        graph.gallery.verify(entry) {
            say(
                resources.getText(R.string.verified),
                R.drawable.ic_yes.takeIf { ready() } ?: 0
            )
        }
    }

    private fun ready() = (graph.gallery.shelf.value as? Shelf.Open)
        ?.states?.get(entry.id) == VariantState.Ready

    private fun test() {
        say(resources.getText(R.string.testing))
        graph.gallery.test(entry, graph.settings.current.value) { attempt ->
            when (attempt) {
                is Attempt.Tested -> tested(attempt.result)
                is Attempt.Failed -> say(reasons.of(attempt.state), R.drawable.ic_bad)
                is Attempt.NotTested -> say(attempt.reason, R.drawable.ic_bad)
                Attempt.Unlocked, Attempt.WrongPassphrase -> Unit
            }
        }
    }

    private fun tested(result: SelfTestResult) {
        val text = if (result.passed) R.plurals.test_passed else R.plurals.test_failed
        val limit = result.limit?.let(figures::plain) ?: resources.getString(R.string.same_class)
        say(
            resources.getQuantityString(text, result.count, result.count, figures.plain(result.difference), limit),
            if (result.passed) R.drawable.ic_yes else R.drawable.ic_bad
        )
    }

    private fun unlock() {
        val message = root.view<TextView>(R.id.unlock_message)
        val given = passphrase.text.toString()
        if (given.isEmpty()) {
            message.setText(R.string.passphrase_empty)
            return
        }
        unlock.isEnabled = false
        message.setText(R.string.unlocking)
        graph.gallery.unlock(entry, given) { attempt ->
            unlock.isEnabled = true
            message.text = when (attempt) {
                Attempt.WrongPassphrase -> resources.getText(R.string.passphrase_wrong)
                is Attempt.Failed -> reasons.of(attempt.state)
                else -> ""
            }
            if (attempt == Attempt.Unlocked) passphrase.text.clear()
        }
    }
}
