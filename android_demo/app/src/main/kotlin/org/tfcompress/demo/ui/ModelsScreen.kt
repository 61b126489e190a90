package org.tfcompress.demo.ui

import android.os.Bundle
import android.view.ViewGroup
import android.widget.TextView
import org.tfcompress.demo.R
import org.tfcompress.demo.work.Shelf

/** What the signed manifest says about each model, and the state of its file. */
class ModelsScreen(activity: MainActivity, parent: ViewGroup) : Screen(activity, R.layout.screen_models, parent) {
    private var cards = emptyMap<String, ModelCard>()
    private var expanded = emptySet<String>()

    override fun show(saved: Bundle?) {
        head(R.string.models_title, R.string.models_about)
        expanded = saved?.getStringArrayList(EXPANDED).orEmpty().toSet()
        graph.gallery.shelf.watch { fill(it) }
    }

    override fun save(out: Bundle) {
        out.putStringArrayList(EXPANDED, ArrayList(cards.filterValues { it.expanded }.keys))
    }

    private fun fill(shelf: Shelf) {
        val pill = find<TextView>(R.id.signature)
        val about = find<TextView>(R.id.signature_about)
        when (shelf) {
            Shelf.Loading -> {
                pill.show(Look.LOCKED, R.string.loading)
                about.text = ""
            }

            is Shelf.Refused -> {
                pill.show(Look.REFUSED, R.string.signature_bad)
                about.text = resources.getString(R.string.manifest_refused, reasons.of(shelf.fault), shelf.detail)
            }

            is Shelf.Open -> {
                pill.show(Look.READY, R.string.signature_good)
                about.text = about(shelf)
                fillCards(shelf)
            }
        }
    }

    private fun about(shelf: Shelf.Open): String {
        val count = shelf.manifest.models.size
        val tools = shelf.manifest.generator.entries.joinToString { "${it.key} ${it.value}" }
        val text = resources.getQuantityString(R.plurals.signature_about, count, count, tools)
        return listOfNotNull(text, shelf.problem).joinToString("\n")
    }

    private fun fillCards(shelf: Shelf.Open) {
        val list = find<ViewGroup>(R.id.cards)
        if (cards.keys != shelf.manifest.models.map { it.id }.toSet()) {
            list.removeAllViews()
            cards = shelf.manifest.models.associate { it.id to ModelCard(inflater, list, it, shelf.manifest, graph) }
            cards.values.forEach {
                list.addView(it.root)
                it.expanded = it.entry.id in expanded
            }
        }
        cards.values.forEach { card -> shelf.states[card.entry.id]?.let(card::show) }
    }

    private companion object {
        const val EXPANDED = "expanded"
    }
}

/** Colours a pill by state and gives it an icon and a word. */
internal fun TextView.show(look: Look, word: Int) {
    setText(word)
    setTextColor(context.getColor(look.ink))
    backgroundTintList = context.getColorStateList(look.paper)
    setCompoundDrawablesRelativeWithIntrinsicBounds(look.icon, 0, 0, 0)
}
