package org.tfcompress.demo.core

import java.io.File
import java.util.Base64
import org.tfcompress.demo.core.json.JsonFields
import org.tfcompress.demo.core.json.JsonNumber
import org.tfcompress.demo.core.json.StrictJson

/** Test vectors that the Python test suite reads too: `tests/android/vectors` of the repository. */
object Vectors {
    private val demo = File(checkNotNull(System.getProperty("demo.dir")) { "demo.dir is the folder android_demo" })

    /** The bundled models folder of the app. */
    val assets = File(demo, "app/src/main/assets/models")

    fun file(name: String) = File(demo, "../tests/android/vectors/$name")

    fun read(name: String): JsonFields = JsonFields.of(StrictJson.parse(file("$name.json").readText()), name)
}

fun JsonFields.doubles(name: String): DoubleArray =
    items(name).map { (it as JsonNumber).text.toDouble() }.toDoubleArray()

fun JsonFields.floats(name: String): FloatArray = doubles(name).map { it.toFloat() }.toFloatArray()

fun JsonFields.base64(name: String): ByteArray = Base64.getDecoder().decode(string(name))
