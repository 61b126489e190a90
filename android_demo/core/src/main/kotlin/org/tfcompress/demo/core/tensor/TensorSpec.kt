package org.tfcompress.demo.core.tensor

/** One input or output of a model: static shape (batch included), type, and codes if it is int8. */
data class TensorSpec(val name: String, val type: DataType, val shape: List<Int>, val quantization: Quantization?) {
    init {
        require(shape.isNotEmpty() && shape.all { it > 0 }) {
            "$name: every dimension must be 1 or more. Received: shape=$shape"
        }
        require(shape.fold(1L) { n, size -> Math.min(n * size, LIMIT + 1) } <= LIMIT) {
            "$name: more than $LIMIT elements. Received: shape=$shape"
        }
        require((type == DataType.INT8) == (quantization != null)) {
            "$name: int8 needs a scale and a zero point, float32 has none. Received: $type, $quantization"
        }
    }

    /** Number of elements. */
    val elements: Int get() = shape.fold(1) { n, size -> n * size }

    /** Size in bytes. */
    val bytes: Int get() = elements * type.bytes

    private companion object {
        const val LIMIT = 1L shl 24
    }
}
