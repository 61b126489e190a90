package org.tfcompress.demo.ui.view

import android.content.Context
import android.graphics.Canvas
import android.graphics.Paint
import android.util.AttributeSet
import android.view.View
import org.tfcompress.demo.R

/** A horizontal bar of a fraction, with an optional mark further along (for example p50 and p90). */
class MeterView @JvmOverloads constructor(context: Context, attrs: AttributeSet? = null) : View(context, attrs) {
    private val track = Paint(Paint.ANTI_ALIAS_FLAG).apply { color = context.getColor(R.color.bar_track) }
    private val fill = Paint(Paint.ANTI_ALIAS_FLAG).apply { color = context.getColor(R.color.accent) }
    private val tick = Paint(Paint.ANTI_ALIAS_FLAG).apply { color = context.getColor(R.color.text) }
    private var fraction = 0f
    private var mark: Float? = null

    /** Shows [fraction] (0..1) of the width filled, in the accent colour if [strong], and a tick at [mark]. */
    fun show(fraction: Double, mark: Double? = null, strong: Boolean = true) {
        this.fraction = fraction.toFloat().coerceIn(0f, 1f)
        this.mark = mark?.toFloat()?.coerceIn(0f, 1f)
        fill.color = context.getColor(if (strong) R.color.accent else R.color.bar_muted)
        invalidate()
    }

    override fun onDraw(canvas: Canvas) {
        val w = width.toFloat()
        val h = height.toFloat()
        if (layoutDirection == LAYOUT_DIRECTION_RTL) canvas.scale(-1f, 1f, w / 2, 0f)
        canvas.drawRoundRect(0f, 0f, w, h, h / 2, h / 2, track)
        if (fraction > 0f) canvas.drawRoundRect(0f, 0f, maxOf(w * fraction, h), h, h / 2, h / 2, fill)
        mark?.let {
            val half = h / 6
            val x = (w * it).coerceIn(half, w - half)
            canvas.drawRect(x - half, 0f, x + half, h, tick)
        }
    }
}
