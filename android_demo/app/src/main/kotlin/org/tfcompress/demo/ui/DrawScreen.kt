package org.tfcompress.demo.ui

import android.os.Bundle
import android.view.View
import android.view.ViewGroup
import android.widget.LinearLayout
import android.widget.Switch
import android.widget.TextView
import org.tfcompress.demo.R
import org.tfcompress.demo.core.image.GrayImage
import org.tfcompress.demo.core.image.Ink
import org.tfcompress.demo.core.image.InkRasterizer
import org.tfcompress.demo.core.image.MnistCentering
import org.tfcompress.demo.core.run.Outcome
import org.tfcompress.demo.core.run.Sample
import org.tfcompress.demo.shown
import org.tfcompress.demo.ui.view.InkView
import org.tfcompress.demo.ui.view.PixelView
import org.tfcompress.demo.view
import org.tfcompress.demo.work.Answers
import org.tfcompress.demo.work.Shelf

/** Draw a digit, or take a sample: all variants answer side by side. */
class DrawScreen(activity: MainActivity, parent: ViewGroup) : Screen(activity, R.layout.screen_draw, parent) {
    private val pad = find<InkView>(R.id.ink)
    private val preview = find<PixelView>(R.id.preview)
    private val undo = find<View>(R.id.undo)
    private val clear = find<View>(R.id.clear)
    private val policy = PolicyCard(find(R.id.policy_card), figures)
    private var rows = emptyList<VariantRow>()
    private var expanded = emptySet<String>()
    private var samples = emptyList<Sample>()

    /** Number of the sample on show, -1 where the picture is drawn. */
    private var sample = NONE
    private var shelf: Shelf.Open? = null

    override fun show(saved: Bundle?) {
        head(R.string.draw_title, R.string.draw_about)
        find<View>(R.id.header).shown = !low
        saved?.getFloatArray(INK)?.let { pad.ink = Ink.restore(it) }
        sample = saved?.getInt(SAMPLE, NONE) ?: NONE
        expanded = saved?.getStringArrayList(EXPANDED).orEmpty().toSet()
        pad.onInk = {
            sample = NONE
            read(fresh = true)
        }
        undo.setOnClickListener {
            pad.ink.undo()
            pad.changed()
        }
        clear.setOnClickListener { clear() }
        val adaptive = find<Switch>(R.id.adaptive)
        adaptive.isChecked = graph.settings.current.value.adaptive
        adaptive.setOnCheckedChangeListener { _, on ->
            graph.settings.change(graph.settings.current.value.copy(adaptive = on))
            read(fresh = false)
        }
        graph.gallery.shelf.watch { fill(it) }
        graph.classifier.answers.watch { present(it) }
    }

    override fun save(out: Bundle) {
        out.putFloatArray(INK, pad.ink.save())
        out.putInt(SAMPLE, sample)
        out.putStringArrayList(EXPANDED, ArrayList(rows.filter { it.expanded }.map { it.entry.id }))
    }

    private fun clear() {
        sample = NONE
        pad.ink.clear()
        pad.changed()
    }

    private fun fill(found: Shelf) {
        if (found !is Shelf.Open) {
            shelf = null
            present(null)
            return
        }
        val first = shelf?.manifest != found.manifest
        shelf = found
        if (first) {
            val list = find<LinearLayout>(R.id.rows)
            list.removeAllViews()
            rows = found.manifest.models.map { VariantRow(inflater, list, it, figures) }
            rows.forEach { list.addView(it.root) }
            fillSamples(found)
            // After a turn the answers are still there.
            if (graph.classifier.answers.value == null) read(fresh = false) else showPicture()
            present(graph.classifier.answers.value)
        } else if (graph.classifier.answers.value == null) {
            present(null)
        }
    }

    private fun fillSamples(found: Shelf.Open) {
        samples = found.samples?.items.orEmpty()
        val strip = find<LinearLayout>(R.id.samples)
        strip.removeAllViews()
        samples.forEachIndexed { i, item ->
            val tile = checkNotNull(inflater.inflate(R.layout.item_sample, strip, false))
            tile.view<PixelView>(R.id.image).show(item.image)
            val label = found.manifest.labels[item.label]
            tile.view<TextView>(R.id.label).text = label
            tile.contentDescription = resources.getString(R.string.sample, label)
            tile.setOnClickListener {
                sample = i
                pad.ink.clear()
                pad.invalidate()
                read(fresh = true)
            }
            strip.addView(tile)
        }
    }

    /** The picture for the models: a sample, the drawing, or null where there is neither. */
    private fun picture(): GrayImage? {
        val chosen = samples.getOrNull(sample)
        return when {
            chosen != null -> chosen.image
            pad.ink.isEmpty -> null
            else -> MnistCentering.center(InkRasterizer().rasterize(pad.ink.strokes()))
        }
    }

    private fun showPicture(): GrayImage? {
        undo.isEnabled = pad.ink.canUndo
        clear.isEnabled = !pad.ink.isEmpty || sample != NONE
        return picture().also(preview::show)
    }

    /** Gives the picture to the models, or clears the answers where there is none. */
    private fun read(fresh: Boolean) {
        val image = showPicture()
        if (image == null) {
            graph.classifier.clear()
        } else {
            graph.classifier.classify(image, samples.getOrNull(sample)?.label, fresh)
        }
    }

    private fun present(answers: Answers?) {
        val open = shelf
        headline(answers, open)
        val reference = answers?.outcomes?.filterIsInstance<Outcome.Answered>()
            ?.firstOrNull { it.entry.id == open?.manifest?.reference }
        for (row in rows) {
            val outcome = answers?.outcomes?.firstOrNull { it.entry.id == row.entry.id }
            if (outcome == null || open == null) {
                open?.states?.get(row.entry.id)?.let(row::wait)
            } else {
                row.show(outcome, reference, open.manifest.labels, row.entry.id == answers.choice?.id)
                if (row.entry.id in expanded) row.expanded = true
            }
        }
        if (answers != null) expanded = emptySet()
        val condition = answers?.choice?.condition ?: graph.phone.condition()
        policy.show(answers?.choice, condition, open?.manifest, graph.settings.current.value.adaptive)
    }

    private fun headline(answers: Answers?, open: Shelf.Open?) {
        val digit = find<TextView>(R.id.digit_now)
        val result = find<TextView>(R.id.result)
        val about = find<TextView>(R.id.agreement)
        val chosen = answers?.chosen
        if (chosen == null || open == null) {
            digit.setText(R.string.no_digit)
            result.setText(if (answers == null) R.string.answer_empty else R.string.answer_none)
            about.text = empty(answers)
            return
        }
        val label = open.manifest.labels[chosen.prediction.label]
        digit.text = label
        val title = chosen.entry.title.of(figures.locale.language)
        result.text = resources.getString(R.string.answer, label, figures.confidence(chosen.prediction.confidence))
        val answered = answers.outcomes.filterIsInstance<Outcome.Answered>()
        val same = answered.count { it.prediction.label == chosen.prediction.label }
        val agreement = resources.getQuantityString(R.plurals.agreement, same, same, answered.size, label)
        val truth = answers.label?.let { resources.getString(R.string.true_label, open.manifest.labels[it]) }
        about.text = listOfNotNull(resources.getString(R.string.answered_by, title), agreement, truth).joinToString(" ")
    }

    private fun empty(answers: Answers?): String = when (val now = graph.gallery.shelf.value) {
        Shelf.Loading -> resources.getString(R.string.loading)

        is Shelf.Refused -> reasons.of(now.fault)

        is Shelf.Open -> resources.getString(
            if (answers ==
                null
            ) {
                R.string.answer_empty_about
            } else {
                R.string.answer_none_about
            }
        )
    }

    private companion object {
        const val INK = "ink"
        const val SAMPLE = "sample"
        const val EXPANDED = "expanded"
        const val NONE = -1
    }
}
