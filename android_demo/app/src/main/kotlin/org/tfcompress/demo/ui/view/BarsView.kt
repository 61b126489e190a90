package org.tfcompress.demo.ui.view

import android.content.Context
import android.graphics.Canvas
import android.graphics.Paint
import android.graphics.Typeface
import android.util.AttributeSet
import android.util.TypedValue
import android.view.View
import org.tfcompress.demo.R

/**
 * Upright bars with a label below each: the probabilities of the classes, or a histogram.
 * One bar may stand out, and a second series (the reference model) is drawn as a short line over each bar.
 */
class BarsView @JvmOverloads constructor(context: Context, attrs: AttributeSet? = null) : View(context, attrs) {
    private val muted = Paint(Paint.ANTI_ALIAS_FLAG).apply { color = context.getColor(R.color.bar_muted) }
    private val track = Paint(Paint.ANTI_ALIAS_FLAG).apply { color = context.getColor(R.color.bar_track) }
    private val strong = Paint(Paint.ANTI_ALIAS_FLAG).apply { color = context.getColor(R.color.accent) }
    private val line = Paint(Paint.ANTI_ALIAS_FLAG).apply { color = context.getColor(R.color.text) }
    private val label = Paint(Paint.ANTI_ALIAS_FLAG).apply {
        color = context.getColor(R.color.text_muted)
        textAlign = Paint.Align.CENTER
        textSize = TypedValue.applyDimension(TypedValue.COMPLEX_UNIT_SP, 13f, resources.displayMetrics)
    }
    private val unit = resources.displayMetrics.density
    private var values = DoubleArray(0)
    private var labels = emptyList<String>()
    private var reference: DoubleArray? = null
    private var best = -1

    /** Shows [values] (0..1 each); [best] stands out; [reference] holds the other series or is null. */
    fun show(values: DoubleArray, labels: List<String>, best: Int = -1, reference: DoubleArray? = null) {
        require(labels.size == values.size) { "BarsView: ${labels.size} labels for ${values.size} bars" }
        this.values = values
        this.labels = labels
        this.best = best
        this.reference = reference
        invalidate()
    }

    override fun onDraw(canvas: Canvas) {
        if (values.isEmpty()) return
        val step = width.toFloat() / values.size
        val thick = minOf(step * 0.62f, 28 * unit)
        val floor = height - label.textSize * 1.5f
        val round = minOf(thick / 2, 6 * unit)
        val rtl = layoutDirection == LAYOUT_DIRECTION_RTL
        val small = label.textSize
        while (label.textSize > 4 * unit && labels.any { label.measureText(it) > step }) label.textSize -= unit / 2
        for (i in values.indices) {
            val middle = step * ((if (rtl) values.size - 1 - i else i) + 0.5f)
            val left = middle - thick / 2
            canvas.drawRoundRect(left, 0f, left + thick, floor, round, round, track)
            val top = floor * (1 - values[i].toFloat().coerceIn(0f, 1f))
            val paint = if (i == best) strong else muted
            canvas.drawRoundRect(left, minOf(top, floor - 2 * unit), left + thick, floor, round, round, paint)
            reference?.let {
                val y = floor * (1 - it[i].toFloat().coerceIn(0f, 1f))
                canvas.drawRect(left - 2 * unit, y - unit, left + thick + 2 * unit, y + unit, line)
            }
            label.typeface = if (i == best) Typeface.DEFAULT_BOLD else Typeface.DEFAULT
            canvas.drawText(labels[i], middle, height - label.textSize * 0.35f, label)
        }
        label.textSize = small
    }
}
