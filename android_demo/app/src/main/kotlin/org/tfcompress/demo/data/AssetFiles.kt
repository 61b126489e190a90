package org.tfcompress.demo.data

import android.content.res.AssetManager
import java.io.FileInputStream
import java.io.FileNotFoundException
import java.io.IOException
import java.nio.ByteBuffer
import java.nio.channels.FileChannel
import org.tfcompress.demo.core.security.ModelFiles

/** The files of a folder in the APK: mapped where they are stored, copied where they were compressed after all. */
class AssetFiles(private val assets: AssetManager, private val folder: String) : ModelFiles {
    override fun read(path: String): ByteBuffer? = try {
        mapped("$folder/$path")
    } catch (_: IOException) {
        copied("$folder/$path")
    }

    private fun mapped(name: String): ByteBuffer = assets.openFd(name).use { file ->
        FileInputStream(file.fileDescriptor).use {
            it.channel.map(FileChannel.MapMode.READ_ONLY, file.startOffset, file.declaredLength)
        }
    }

    private fun copied(name: String): ByteBuffer? = try {
        assets.open(name).use { ByteBuffer.wrap(it.readBytes()) }
    } catch (_: FileNotFoundException) {
        null
    }
}
