package org.tfcompress.demo

import android.annotation.TargetApi
import android.os.Build
import android.os.PowerManager
import android.view.View
import android.view.Window
import android.view.WindowInsets

/*
 * Calls that the oldest supported system (API 26) does not have. They live in classes named after the level they
 * need, so that a call without a check of the level can be found: verify/stages/50-compile does.
 */

/** Needs API 29. */
@TargetApi(29)
internal object Api29 {
    /** Thermal status, 0 (none) to 6 (shutdown). */
    fun thermal(power: PowerManager): Int = power.currentThermalStatus
}

/** Needs API 30. */
@TargetApi(30)
internal object Api30 {
    /** Lets the window reach under the system's bars, as API 35 does by itself. */
    @Suppress("DEPRECATION")
    fun edgeToEdge(window: Window) = window.setDecorFitsSystemWindows(false)

    /** Left, top, right and bottom pixels that bars, cutouts and the keyboard take. */
    fun padding(insets: WindowInsets): IntArray {
        val kinds = WindowInsets.Type.systemBars() or WindowInsets.Type.displayCutout() or WindowInsets.Type.ime()
        return insets.getInsets(kinds).let { intArrayOf(it.left, it.top, it.right, it.bottom) }
    }

    /** What a screen reader adds to the description: expanded, collapsed. */
    fun describeState(view: View, state: CharSequence) {
        view.stateDescription = state
    }
}

/** Needs API 31. */
@TargetApi(31)
internal object Api31 {
    /** The processor. */
    fun soc(): String = "${Build.SOC_MANUFACTURER} ${Build.SOC_MODEL}"
}
