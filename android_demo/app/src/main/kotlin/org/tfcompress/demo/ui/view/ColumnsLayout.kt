package org.tfcompress.demo.ui.view

import android.annotation.SuppressLint
import android.content.Context
import android.util.AttributeSet
import android.view.View
import android.view.ViewGroup
import org.tfcompress.demo.R

/** Cards in as many equal columns as there is room for; each card goes to the column that is shortest so far. */
class ColumnsLayout(context: Context, attrs: AttributeSet) : ViewGroup(context, attrs) {
    private val gap = resources.getDimensionPixelSize(R.dimen.gap)
    private val narrowest = resources.getDimensionPixelSize(R.dimen.column_min)
    private var tops = emptyMap<View, Pair<Int, Int>>()
    private var column = 0

    // A handful of children, measured rarely.
    @SuppressLint("DrawAllocation")
    override fun onMeasure(widthSpec: Int, heightSpec: Int) {
        val width = MeasureSpec.getSize(widthSpec)
        val children = (0 until childCount).map(::getChildAt).filter { it.visibility != GONE }
        val columns = ((width + gap) / (narrowest + gap)).coerceIn(1, maxOf(1, children.size))
        column = (width - gap * (columns - 1)) / columns
        val heights = IntArray(columns)
        val placed = HashMap<View, Pair<Int, Int>>()
        for (child in children) {
            val margins = child.layoutParams as MarginLayoutParams
            val room = column - margins.leftMargin - margins.rightMargin
            child.measure(
                MeasureSpec.makeMeasureSpec(room, MeasureSpec.EXACTLY),
                MeasureSpec.makeMeasureSpec(0, MeasureSpec.UNSPECIFIED)
            )
            val shortest = heights.indices.minByOrNull { heights[it] } ?: 0
            placed[child] = shortest to heights[shortest] + margins.topMargin
            heights[shortest] += child.measuredHeight + margins.topMargin + margins.bottomMargin
        }
        tops = placed
        setMeasuredDimension(width, resolveSize(heights.maxOrNull() ?: 0, heightSpec))
    }

    override fun onLayout(changed: Boolean, l: Int, t: Int, r: Int, b: Int) {
        val rtl = layoutDirection == LAYOUT_DIRECTION_RTL
        for ((child, place) in tops) {
            val start = place.first * (column + gap) + (child.layoutParams as MarginLayoutParams).leftMargin
            val left = if (rtl) width - start - child.measuredWidth else start
            child.layout(left, place.second, left + child.measuredWidth, place.second + child.measuredHeight)
        }
    }

    override fun generateLayoutParams(attrs: AttributeSet): LayoutParams = MarginLayoutParams(context, attrs)

    override fun generateLayoutParams(params: LayoutParams): LayoutParams = MarginLayoutParams(params)

    override fun generateDefaultLayoutParams(): LayoutParams =
        MarginLayoutParams(LayoutParams.MATCH_PARENT, LayoutParams.WRAP_CONTENT)

    override fun checkLayoutParams(params: LayoutParams): Boolean = params is MarginLayoutParams
}
