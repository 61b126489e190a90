package org.tfcompress.demo.ui.view

import android.content.Context
import android.util.AttributeSet
import android.widget.LinearLayout

/** A LinearLayout that grows no wider than `android:maxWidth`, so that lines stay readable on wide windows. */
class BoundedLayout(context: Context, attrs: AttributeSet) : LinearLayout(context, attrs) {
    private val widest: Int

    init {
        val values = context.obtainStyledAttributes(attrs, intArrayOf(android.R.attr.maxWidth))
        widest = values.getDimensionPixelSize(0, Int.MAX_VALUE)
        values.recycle()
    }

    override fun onMeasure(widthSpec: Int, heightSpec: Int) {
        val given = MeasureSpec.getSize(widthSpec)
        val spec = if (MeasureSpec.getMode(widthSpec) == MeasureSpec.UNSPECIFIED || given <= widest) {
            widthSpec
        } else {
            MeasureSpec.makeMeasureSpec(widest, MeasureSpec.EXACTLY)
        }
        super.onMeasure(spec, heightSpec)
    }
}
