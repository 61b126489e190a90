package org.tfcompress.demo.core.image

/** Grey picture, row by row; a pixel is an unsigned byte, 0 = background, 255 = ink. */
class GrayImage(val width: Int, val height: Int, val pixels: ByteArray) {
    init {
        require(width > 0 && height > 0 && pixels.size == width * height) {
            "a $width x $height picture has ${width.toLong() * height} pixels. Received: ${pixels.size}"
        }
    }

    constructor(width: Int, height: Int) : this(width, height, ByteArray(width * height))

    /** The pixel at column [x], row [y], 0..255. */
    operator fun get(x: Int, y: Int): Int = pixels[y * width + x].toInt() and 0xff

    operator fun set(x: Int, y: Int, value: Int) {
        pixels[y * width + x] = value.toByte()
    }

    /** Whether there is no ink at all. */
    val isBlank: Boolean get() = pixels.all { it.toInt() == 0 }
}
