package org.tfcompress.demo.core.security

import org.tfcompress.demo.core.manifest.ModelManifest

/** A golden or sample file is not the one the manifest was signed with. */
class SideFileException(message: String, cause: Throwable? = null) : Exception(message, cause)

/** Golden and sample files, each checked against the manifest before it is used. */
class SideFiles(private val files: ModelFiles, private val manifest: ModelManifest) {
    /** The bytes of a file; throws [SideFileException] if it is missing, not listed or changed. */
    fun read(path: String): ByteArray {
        val expected = manifest.files[path] ?: throw SideFileException("$path is not in the manifest")
        val file = files.read(path) ?: throw SideFileException("$path is missing")
        ModelGate.fault(file, expected)?.let { throw SideFileException("$path: ${it.detail}") }
        return bytes(file)
    }
}
