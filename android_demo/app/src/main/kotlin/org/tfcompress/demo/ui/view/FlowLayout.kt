package org.tfcompress.demo.ui.view

import android.annotation.SuppressLint
import android.content.Context
import android.util.AttributeSet
import android.view.View
import android.view.ViewGroup
import org.tfcompress.demo.R

/** Lays its children out in lines that wrap, from the start edge; `android:verticalSpacing` lies between lines. */
class FlowLayout(context: Context, attrs: AttributeSet) : ViewGroup(context, attrs) {
    private val gap = resources.getDimensionPixelSize(R.dimen.gap_half)
    private val between: Int

    private class Place(val child: View, val start: Int, val top: Int)

    private var places = emptyList<Place>()

    init {
        val values = context.obtainStyledAttributes(attrs, intArrayOf(android.R.attr.verticalSpacing))
        between = values.getDimensionPixelSize(0, gap)
        values.recycle()
    }

    // A handful of children, measured rarely.
    @SuppressLint("DrawAllocation")
    override fun onMeasure(widthSpec: Int, heightSpec: Int) {
        val room = if (MeasureSpec.getMode(widthSpec) == MeasureSpec.UNSPECIFIED) {
            Int.MAX_VALUE / 2
        } else {
            MeasureSpec.getSize(widthSpec) - paddingLeft - paddingRight
        }
        var start = 0
        var top = 0
        var line = 0
        var widest = 0
        places = (0 until childCount).map(::getChildAt).filter { it.visibility != GONE }.map { child ->
            child.measure(
                MeasureSpec.makeMeasureSpec(room, MeasureSpec.AT_MOST),
                MeasureSpec.makeMeasureSpec(0, MeasureSpec.UNSPECIFIED)
            )
            if (start > 0 && start + child.measuredWidth > room) {
                top += line + between
                start = 0
                line = 0
            }
            val place = Place(child, start, top)
            start += child.measuredWidth + gap
            line = maxOf(line, child.measuredHeight)
            widest = maxOf(widest, start - gap)
            place
        }
        setMeasuredDimension(
            resolveSize(widest + paddingLeft + paddingRight, widthSpec),
            resolveSize(top + line + paddingTop + paddingBottom, heightSpec)
        )
    }

    override fun onLayout(changed: Boolean, l: Int, t: Int, r: Int, b: Int) {
        val rtl = layoutDirection == LAYOUT_DIRECTION_RTL
        for (place in places) {
            val child = place.child
            val left = if (rtl) width - paddingRight - place.start - child.measuredWidth else paddingLeft + place.start
            val top = paddingTop + place.top
            child.layout(left, top, left + child.measuredWidth, top + child.measuredHeight)
        }
    }
}
