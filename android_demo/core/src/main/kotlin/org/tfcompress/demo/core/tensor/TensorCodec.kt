package org.tfcompress.demo.core.tensor

import java.nio.ByteBuffer
import java.nio.ByteOrder

/** Moves real values into and out of the buffers that a model reads and writes. */
class TensorCodec(val spec: TensorSpec) {
    /** A direct buffer in native byte order, the only kind that the runtime takes, of this tensor's size. */
    fun newBuffer(): ByteBuffer = ByteBuffer.allocateDirect(spec.bytes).order(ByteOrder.nativeOrder())

    /** Writes [values], one per element, over the whole buffer, which stays positioned at 0. */
    fun encode(values: FloatArray, into: ByteBuffer) {
        require(values.size == spec.elements) {
            "${spec.name} takes ${spec.elements} values (shape ${spec.shape}). Received: ${values.size}"
        }
        checkSize(into)
        val codes = spec.quantization
        if (codes == null) {
            for (i in values.indices) into.putFloat(i * Float.SIZE_BYTES, values[i])
        } else {
            for (i in values.indices) into.put(i, codes.quantize(values[i]))
        }
    }

    /** Reads the real values of the whole buffer. */
    fun decode(from: ByteBuffer): FloatArray {
        checkSize(from)
        val codes = spec.quantization
        return FloatArray(spec.elements) {
            if (codes == null) from.getFloat(it * Float.SIZE_BYTES) else codes.dequantize(from.get(it))
        }
    }

    private fun checkSize(buffer: ByteBuffer) {
        require(buffer.capacity() == spec.bytes) {
            "${spec.name} is ${spec.bytes} bytes (${spec.type.id}, shape ${spec.shape}). " +
                "Received: a buffer of ${buffer.capacity()} bytes"
        }
        require(buffer.order() == ByteOrder.nativeOrder()) {
            "${spec.name} needs a buffer in native byte order. Received: ${buffer.order()}"
        }
    }
}
