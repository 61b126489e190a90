package org.tfcompress.demo.ui.view

import android.content.Context
import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Paint
import android.graphics.Path
import android.graphics.Rect
import android.util.AttributeSet
import android.view.View
import org.tfcompress.demo.R
import org.tfcompress.demo.core.image.GrayImage

/** Shows a square grey image pixel by pixel, as the model gets it: bright ink on dark. */
class PixelView @JvmOverloads constructor(context: Context, attrs: AttributeSet? = null) : View(context, attrs) {
    private val off = context.getColor(R.color.pixel_off)
    private val on = context.getColor(R.color.pixel_on)
    private val corner = resources.getDimension(R.dimen.corner_small)
    private val paint = Paint().apply { isFilterBitmap = false }
    private val target = Rect()
    private val outline = Path()
    private var bitmap: Bitmap? = null

    /** Shows [image], or an empty field. */
    fun show(image: GrayImage?) {
        bitmap = image?.let {
            val colors = IntArray(it.pixels.size) { at -> mix(off, on, it.pixels[at].toInt() and 0xFF) }
            Bitmap.createBitmap(colors, it.width, it.height, Bitmap.Config.ARGB_8888)
        }
        invalidate()
    }

    override fun onMeasure(widthSpec: Int, heightSpec: Int) {
        val side = minOf(
            getDefaultSize(suggestedMinimumWidth, widthSpec),
            getDefaultSize(suggestedMinimumWidth, heightSpec).let { if (it == 0) Int.MAX_VALUE else it }
        )
        setMeasuredDimension(side, side)
    }

    override fun onSizeChanged(w: Int, h: Int, oldw: Int, oldh: Int) {
        target.set(0, 0, w, h)
        outline.reset()
        outline.addRoundRect(0f, 0f, w.toFloat(), h.toFloat(), corner, corner, Path.Direction.CW)
    }

    override fun onDraw(canvas: Canvas) {
        canvas.clipPath(outline)
        canvas.drawColor(off)
        bitmap?.let { canvas.drawBitmap(it, null, target, paint) }
    }
}

/** Colour [at]/255 of the way from [from] to [to]. */
internal fun mix(from: Int, to: Int, at: Int): Int {
    fun part(shift: Int): Int {
        val a = from ushr shift and 0xFF
        val b = to ushr shift and 0xFF
        return (a + (b - a) * at / 255) shl shift
    }
    return part(24) or part(16) or part(8) or part(0)
}
