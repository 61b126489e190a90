package org.tfcompress.demo.ui.view

import android.content.Context
import android.util.AttributeSet
import android.widget.LinearLayout
import android.widget.RadioGroup

/** Radio buttons side by side; one below the other where a label would not fit (large fonts, narrow windows). */
class SegmentGroup(context: Context, attrs: AttributeSet) : RadioGroup(context, attrs) {
    override fun onMeasure(widthSpec: Int, heightSpec: Int) {
        val children = (0 until childCount).map(::getChildAt)
        val free = MeasureSpec.makeMeasureSpec(0, MeasureSpec.UNSPECIFIED)
        val widest = children.maxOfOrNull {
            it.measure(free, free)
            it.measuredWidth
        } ?: 0
        val room = MeasureSpec.getSize(widthSpec) - paddingLeft - paddingRight
        val stack = MeasureSpec.getMode(widthSpec) != MeasureSpec.UNSPECIFIED && widest * children.size > room
        orientation = if (stack) VERTICAL else HORIZONTAL
        for (child in children) {
            val params = child.layoutParams as LinearLayout.LayoutParams
            params.width = if (stack) LayoutParams.MATCH_PARENT else 0
            params.height = if (stack) LayoutParams.WRAP_CONTENT else LayoutParams.MATCH_PARENT
            params.weight = if (stack) 0f else 1f
        }
        super.onMeasure(widthSpec, heightSpec)
    }
}
