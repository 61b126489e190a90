package org.tfcompress.demo.ui

import android.content.res.Resources
import org.tfcompress.demo.R
import org.tfcompress.demo.core.run.VariantState
import org.tfcompress.demo.core.security.IntegrityFault
import org.tfcompress.demo.core.security.ManifestFault

/** How a state looks: one word, an icon, colours; colour is never the only sign. */
enum class Look(val word: Int, val icon: Int, val ink: Int, val paper: Int) {
    READY(R.string.state_ready, R.drawable.ic_yes, R.color.good, R.color.good_soft),
    LOCKED(R.string.state_locked, R.drawable.ic_lock, R.color.text_muted, R.color.surface_sunken),
    WAITS(R.string.state_newer, R.drawable.ic_warn, R.color.warn, R.color.warn_soft),
    REFUSED(R.string.state_refused, R.drawable.ic_bad, R.color.bad, R.color.bad_soft),
    FAILED(R.string.state_failed, R.drawable.ic_bad, R.color.bad, R.color.bad_soft);

    companion object {
        fun of(state: VariantState): Look = when (state) {
            VariantState.Ready -> READY
            VariantState.Locked -> LOCKED
            is VariantState.NeedsRuntime -> WAITS
            is VariantState.Refused -> REFUSED
            is VariantState.Failed -> FAILED
        }
    }
}

/** Why a model or a manifest is not used, in a sentence for people. */
class Reasons(private val resources: Resources) {
    fun of(state: VariantState): String = when (state) {
        VariantState.Ready -> resources.getString(R.string.reason_ready)

        VariantState.Locked -> resources.getString(R.string.reason_locked)

        is VariantState.NeedsRuntime ->
            resources.getString(R.string.reason_newer, state.needed.toString(), state.present.toString())

        is VariantState.Refused -> resources.getString(of(state.fault))

        is VariantState.Failed -> resources.getString(R.string.reason_failed, state.reason)
    }

    private fun of(fault: IntegrityFault): Int = when (fault) {
        IntegrityFault.MISSING -> R.string.reason_missing
        IntegrityFault.WRONG_SIZE -> R.string.reason_size
        IntegrityFault.WRONG_HASH -> R.string.reason_hash
        IntegrityFault.WRONG_PASSPHRASE -> R.string.reason_passphrase
        IntegrityFault.WRONG_PLAINTEXT -> R.string.reason_plaintext
    }

    fun of(fault: ManifestFault): String = resources.getString(
        when (fault) {
            ManifestFault.MISSING -> R.string.manifest_missing
            ManifestFault.UNSIGNED -> R.string.manifest_unsigned
            ManifestFault.BAD_SIGNATURE -> R.string.manifest_changed
            ManifestFault.OTHER_KEY -> R.string.manifest_other_key
            ManifestFault.UNREADABLE -> R.string.manifest_unreadable
        }
    )
}
