package org.tfcompress.demo.core.run

import org.tfcompress.demo.core.image.GrayImage
import org.tfcompress.demo.core.json.FieldException
import org.tfcompress.demo.core.json.JsonException
import org.tfcompress.demo.core.json.JsonFields
import org.tfcompress.demo.core.json.JsonNumber
import org.tfcompress.demo.core.json.StrictJson
import org.tfcompress.demo.core.manifest.ModelManifest
import org.tfcompress.demo.core.security.SideFileException
import org.tfcompress.demo.core.security.SideFiles

/** A bundled picture with its true class; [disputed] ones make the variants differ. */
class Sample(val image: GrayImage, val label: Int, val disputed: Boolean)

/** The bundled pictures, and where they come from. */
class Samples(val source: String, val licence: String, val items: List<Sample>) {
    companion object {
        private const val SCHEMA = "tfcompress.samples/1"

        /** Reads the samples that a manifest names. Throws [SideFileException]. */
        fun read(manifest: ModelManifest, files: SideFiles): Samples = try {
            val fields = JsonFields.of(StrictJson.parse(files.read(manifest.samples)), "samples")
            if (fields.string("schema") != SCHEMA) fields.wrong("schema", "\"$SCHEMA\"")
            read(fields, manifest, files)
        } catch (problem: JsonException) {
            throw SideFileException("samples: ${problem.message}", problem)
        } catch (problem: FieldException) {
            throw SideFileException(problem.message.orEmpty(), problem)
        }

        private fun read(fields: JsonFields, manifest: ModelManifest, files: SideFiles): Samples {
            val size = manifest.input.width * manifest.input.height
            val count = fields.int("count", 1..MAX_COUNT)
            val labels = fields.ints("labels")
            val kinds = fields.strings("kinds")
            if (labels.size != count || labels.any { it !in manifest.labels.indices }) {
                fields.wrong("labels", "$count indices of classes")
            }
            if (kinds.size != count) fields.wrong("kinds", "$count words")
            if (fields.need("width") != number(manifest.input.width)) fields.wrong("width", "the models' width")
            if (fields.need("height") != number(manifest.input.height)) fields.wrong("height", "the models' height")
            val pixels = files.read(fields.string("file"))
            if (pixels.size != count * size) fields.wrong("file", "a file of $count pictures of $size bytes")
            val items = List(count) {
                val image = pixels.copyOfRange(it * size, (it + 1) * size)
                Sample(
                    GrayImage(manifest.input.width, manifest.input.height, image),
                    labels[it],
                    kinds[it] == "disputed"
                )
            }
            return Samples(fields.string("source"), fields.string("licence"), items)
        }

        private fun number(value: Int) = JsonNumber(value.toString())

        private const val MAX_COUNT = 10_000
    }
}
