package org.tfcompress.demo.core.engine

import java.nio.ByteBuffer
import org.tfcompress.demo.core.tensor.TensorCodec

/** One run from an encoded input to a fresh buffer with the output, positioned at 0. */
fun InferenceEngine.answer(input: ByteBuffer): ByteBuffer {
    val result = TensorCodec(output).newBuffer()
    write(input)
    run()
    read(result)
    return result
}
