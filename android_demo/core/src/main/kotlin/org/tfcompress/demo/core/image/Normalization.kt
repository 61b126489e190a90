package org.tfcompress.demo.core.image

import org.tfcompress.demo.core.manifest.InputRules

/** Pixels to the values that the model was trained on: `pixel * scale + offset`, rounded to float once. */
class Normalization(private val rules: InputRules) {
    private val values = FloatArray(256) { (it * rules.scale + rules.offset).toFloat() }

    /** One value per pixel; the picture must have the size that the manifest names. */
    fun apply(image: GrayImage): FloatArray {
        require(image.width == rules.width && image.height == rules.height) {
            "the models take ${rules.width} x ${rules.height}. Received: ${image.width} x ${image.height}"
        }
        return FloatArray(image.pixels.size) { values[image.pixels[it].toInt() and 0xff] }
    }
}
