package org.tfcompress.demo.core.security

import org.tfcompress.demo.core.manifest.ManifestException
import org.tfcompress.demo.core.manifest.ManifestReader
import org.tfcompress.demo.core.manifest.ModelManifest

/** Why a manifest is refused. */
enum class ManifestFault { MISSING, UNSIGNED, BAD_SIGNATURE, OTHER_KEY, UNREADABLE }

/** A manifest that may be used, or why there is none. */
sealed interface ManifestState {
    /** Signed by the app's key and well formed; [sha256] is of the file. */
    data class Trusted(val manifest: ModelManifest, val sha256: String) : ManifestState

    /** Not to be used; [detail] is for experts. */
    data class Refused(val fault: ManifestFault, val detail: String) : ManifestState
}

/** Verifies the signature first and parses only what was signed. */
class ManifestGate(private val key: TrustedKey) {
    /** Null stands for a file that is not there. */
    fun open(manifest: ByteArray?, signature: ByteArray?): ManifestState {
        if (manifest == null) return ManifestState.Refused(ManifestFault.MISSING, "no manifest.json")
        if (signature == null) return ManifestState.Refused(ManifestFault.UNSIGNED, "no manifest.sig")
        if (!key.signed(manifest, signature)) return unsigned(manifest)
        return try {
            ManifestState.Trusted(ManifestReader.read(manifest), Digests.sha256(manifest))
        } catch (problem: ManifestException) {
            ManifestState.Refused(ManifestFault.UNREADABLE, problem.message.orEmpty())
        }
    }

    /** Only tells two kinds of refusal apart: what an unsigned manifest says about its key may be a lie. */
    private fun unsigned(manifest: ByteArray): ManifestState {
        val claimed = try {
            ManifestReader.read(manifest).keySha256
        } catch (_: ManifestException) {
            key.sha256
        }
        return if (claimed == key.sha256) {
            ManifestState.Refused(ManifestFault.BAD_SIGNATURE, "the signature does not fit the manifest")
        } else {
            ManifestState.Refused(ManifestFault.OTHER_KEY, "signed by key $claimed, this app trusts ${key.sha256}")
        }
    }
}
