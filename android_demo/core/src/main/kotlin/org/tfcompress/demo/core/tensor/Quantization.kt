package org.tfcompress.demo.core.tensor

/**
 * Affine int8 codes, `real = (code - zeroPoint) * scale`, in float32 as the Python package and the
 * runtime's own kernels compute them: multiply by the inverse scale, round halves to even.
 */
data class Quantization(val scale: Float, val zeroPoint: Int) {
    private val inverse = 1f / scale

    init {
        require(scale > 0f && scale.isFinite() && inverse.isFinite()) {
            "scale must be positive and finite. Received: scale=$scale"
        }
        require(zeroPoint in LOWEST..HIGHEST) { "zeroPoint must be in -128..127. Received: zeroPoint=$zeroPoint" }
    }

    /** The code of a real value; saturates. NaN has no code and is refused. */
    fun quantize(value: Float): Byte {
        require(!value.isNaN()) { "NaN has no code" }
        // Math.round would take halves up; rint takes them to the even neighbour as NumPy does.
        val code = Math.rint((value * inverse).toDouble()).toFloat() + zeroPoint
        return code.coerceIn(LOWEST.toFloat(), HIGHEST.toFloat()).toInt().toByte()
    }

    /** The real value of a code. */
    fun dequantize(code: Byte): Float = (code - zeroPoint).toFloat() * scale

    companion object {
        const val LOWEST = -128
        const val HIGHEST = 127
    }
}
