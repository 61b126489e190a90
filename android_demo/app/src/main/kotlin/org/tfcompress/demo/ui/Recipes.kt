package org.tfcompress.demo.ui

import android.content.res.Resources
import android.view.LayoutInflater
import android.view.ViewGroup
import android.widget.TextView
import org.tfcompress.demo.R
import org.tfcompress.demo.core.json.JsonBoolean
import org.tfcompress.demo.core.json.JsonNumber
import org.tfcompress.demo.core.json.JsonString
import org.tfcompress.demo.core.json.JsonText
import org.tfcompress.demo.core.json.JsonValue
import org.tfcompress.demo.core.manifest.RecipeStep

/** What was done to a model: chips with each step's main setting, and a text with all as the manifest has them. */
class Recipes(private val resources: Resources, private val figures: Figures) {
    /** One chip a step; steps that this app does not know show all they have. */
    fun fill(inflater: LayoutInflater, into: ViewGroup, recipe: List<RecipeStep>) {
        for (step in recipe) {
            val chip = inflater.inflate(R.layout.item_step, into, false) as TextView
            chip.text = brief(step)
            into.addView(chip)
        }
    }

    /** One line a step, everything in it. */
    fun full(recipe: List<RecipeStep>): String = recipe.joinToString("\n") { step ->
        (listOf(step.op) + step.settings.map { (key, value) -> "$key ${text(value)}" }).joinToString(" · ")
    }

    private fun brief(step: RecipeStep): String {
        val known = KNOWN[step.op] ?: return full(listOf(step))
        val main = step.settings[known.setting]
        val fraction = (main as? JsonNumber)?.toDouble()?.takeIf { known.setting == SPARSITY }
        val value = fraction?.let { figures.percent(it) } ?: main?.let(::text)
        return listOfNotNull(resources.getString(known.name), value).joinToString(" · ")
    }

    private fun text(value: JsonValue): String = when (value) {
        is JsonString -> value.value
        is JsonNumber -> value.text
        is JsonBoolean -> value.value.toString()
        else -> JsonText.write(value).trim()
    }

    private class Known(val name: Int, val setting: String)

    private companion object {
        const val SPARSITY = "sparsity"
        val KNOWN = mapOf(
            "prune" to Known(R.string.op_prune, SPARSITY),
            "cluster" to Known(R.string.op_cluster, "clusters"),
            "quantize" to Known(R.string.op_quantize, "scheme"),
            "distill" to Known(R.string.op_distill, ""),
            "convert" to Known(R.string.op_convert, "mode")
        )
    }
}
