package org.tfcompress.demo.ui.view

import android.content.Context
import android.graphics.Canvas
import android.graphics.DashPathEffect
import android.graphics.Paint
import android.graphics.Path
import android.os.Bundle
import android.util.AttributeSet
import android.view.MotionEvent
import android.view.View
import android.view.accessibility.AccessibilityNodeInfo
import org.tfcompress.demo.R
import org.tfcompress.demo.core.image.Ink
import org.tfcompress.demo.core.image.Stroke

/** A square pad that records strokes in the unit square; never larger than `android:maxWidth`. */
class InkView(context: Context, attrs: AttributeSet) : View(context, attrs) {
    private val largest: Int
    private val paper = Paint(Paint.ANTI_ALIAS_FLAG).apply { color = context.getColor(R.color.paper) }
    private val pen = Paint(Paint.ANTI_ALIAS_FLAG).apply {
        style = Paint.Style.STROKE
        strokeCap = Paint.Cap.ROUND
        strokeJoin = Paint.Join.ROUND
        color = context.getColor(R.color.ink)
    }
    private val guide = Paint(Paint.ANTI_ALIAS_FLAG).apply {
        style = Paint.Style.STROKE
        strokeWidth = 2 * resources.displayMetrics.density
        color = context.getColor(R.color.guide)
        val dash = 6 * resources.displayMetrics.density
        pathEffect = DashPathEffect(floatArrayOf(dash, dash), 0f)
    }
    private val corner = resources.getDimension(R.dimen.corner_small)
    private val outline = Path()
    private val line = Path()
    private val current = ArrayList<Float>()

    /** The drawing; after changing it, call [changed]. */
    var ink = Ink()
        set(value) {
            field = value
            invalidate()
        }

    /** Called when a stroke ends and after [changed]. */
    var onInk: () -> Unit = {}

    init {
        val values = context.obtainStyledAttributes(attrs, intArrayOf(android.R.attr.maxWidth))
        largest = values.getDimensionPixelSize(0, Int.MAX_VALUE)
        values.recycle()
    }

    /** Redraws and tells [onInk], after [ink] was changed from outside. */
    fun changed() {
        invalidate()
        onInk()
    }

    override fun onMeasure(widthSpec: Int, heightSpec: Int) {
        val side = minOf(getDefaultSize(largest, widthSpec), largest)
        setMeasuredDimension(getDefaultSize(side, widthSpec), side)
    }

    private fun side() = minOf(width, height).coerceAtLeast(1).toFloat()

    private fun left() = (width - side()) / 2

    override fun onDraw(canvas: Canvas) {
        val side = side()
        canvas.translate(left(), 0f)
        outline.reset()
        outline.addRoundRect(0f, 0f, side, side, corner, corner, Path.Direction.CW)
        canvas.clipPath(outline)
        canvas.drawRect(0f, 0f, side, side, paper)
        if (ink.isEmpty && current.isEmpty()) drawGuide(canvas, side)
        pen.strokeWidth = side * PEN
        ink.strokes().forEach { draw(canvas, it.points.asList(), side) }
        if (current.isNotEmpty()) draw(canvas, current, side)
    }

    /** Where a digit fits best. */
    private fun drawGuide(canvas: Canvas, side: Float) {
        canvas.drawRoundRect(side * 0.26f, side * 0.14f, side * 0.74f, side * 0.86f, corner, corner, guide)
    }

    private fun draw(canvas: Canvas, points: List<Float>, side: Float) {
        line.reset()
        line.moveTo(points[0] * side, points[1] * side)
        if (points.size == 2) line.lineTo(points[0] * side + 0.1f, points[1] * side)
        for (i in 2 until points.size step 2) line.lineTo(points[i] * side, points[i + 1] * side)
        canvas.drawPath(line, pen)
    }

    private fun add(x: Float, y: Float) {
        current.add(((x - left()) / side()).coerceIn(0f, 1f))
        current.add((y / side()).coerceIn(0f, 1f))
    }

    override fun onTouchEvent(event: MotionEvent): Boolean {
        when (event.actionMasked) {
            MotionEvent.ACTION_DOWN -> {
                parent?.requestDisallowInterceptTouchEvent(true)
                current.clear()
                add(event.x, event.y)
            }

            MotionEvent.ACTION_MOVE -> {
                for (i in 0 until event.historySize) add(event.getHistoricalX(i), event.getHistoricalY(i))
                add(event.x, event.y)
            }

            MotionEvent.ACTION_UP -> performClick()

            MotionEvent.ACTION_CANCEL -> current.clear()

            else -> return super.onTouchEvent(event)
        }
        invalidate()
        return true
    }

    /** Ends the stroke that is being drawn. */
    override fun performClick(): Boolean {
        super.performClick()
        if (current.isNotEmpty()) {
            ink.add(Stroke(current.toFloatArray()))
            current.clear()
            changed()
        }
        return true
    }

    override fun onInitializeAccessibilityNodeInfo(info: AccessibilityNodeInfo) {
        super.onInitializeAccessibilityNodeInfo(info)
        if (ink.canUndo) info.addAction(action(R.id.undo, R.string.undo))
        if (!ink.isEmpty) info.addAction(action(R.id.clear, R.string.clear))
    }

    private fun action(id: Int, label: Int) = AccessibilityNodeInfo.AccessibilityAction(id, resources.getText(label))

    override fun performAccessibilityAction(action: Int, arguments: Bundle?): Boolean {
        when (action) {
            R.id.undo -> ink.undo()
            R.id.clear -> ink.clear()
            else -> return super.performAccessibilityAction(action, arguments)
        }
        changed()
        return true
    }

    private companion object {
        /** Width of the pen as a fraction of the side, as the rasterizer's: 2 * 5 of 112 pixels. */
        const val PEN = 10f / 112f
    }
}
