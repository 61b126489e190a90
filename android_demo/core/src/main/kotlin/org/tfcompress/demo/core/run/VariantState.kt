package org.tfcompress.demo.core.run

import org.tfcompress.demo.core.engine.RuntimeVersion
import org.tfcompress.demo.core.security.IntegrityFault

/** Whether a variant can be run here, and if not, why. */
sealed interface VariantState {
    data object Ready : VariantState

    /** Encrypted, and no passphrase was given yet. */
    data object Locked : VariantState

    /** Damaged, swapped or missing: shown, marked, never run. */
    data class Refused(val fault: IntegrityFault, val detail: String) : VariantState

    /** Made for a newer runtime: a file of TensorFlow [needed], and the app's runtime reads up to [present]. */
    data class NeedsRuntime(val needed: RuntimeVersion, val present: RuntimeVersion) : VariantState

    /** The runtime could not open or run it. */
    data class Failed(val reason: String) : VariantState
}
