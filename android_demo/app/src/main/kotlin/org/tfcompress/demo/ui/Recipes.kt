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

/** What was done to a model, one chip a step: known steps by name, others as the manifest has them. */
class Recipes(private val inflater: LayoutInflater, private val resources: Resources, private val figures: Figures) {
    fun fill(into: ViewGroup, recipe: List<RecipeStep>) {
        for (step in recipe) {
            val chip = inflater.inflate(R.layout.item_step, into, false) as TextView
            chip.text = text(step)
            into.addView(chip)
        }
    }

    private fun text(step: RecipeStep): String {
        val name = NAMES[step.op]?.let(resources::getString) ?: step.op
        val settings = step.settings.map { (key, value) ->
            if (key == "sparsity") figures.percent((value as? JsonNumber)?.toDoubleOrNull() ?: 0.0) else "$key ${text(value)}"
        }
        return if (settings.isEmpty()) name else "$name · ${settings.joinToString()}"
    }

    private fun text(value: JsonValue): String = when (value) {
        is JsonString -> value.value
        is JsonNumber -> value.text
        is JsonBoolean -> value.value.toString()
        else -> JsonText.write(value).trim()
    }

    private companion object {
        val NAMES = mapOf(
            "prune" to R.string.op_prune,
            "cluster" to R.string.op_cluster,
            "quantize" to R.string.op_quantize,
            "distill" to R.string.op_distill,
            "convert" to R.string.op_convert
        )
    }
}
