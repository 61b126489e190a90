package org.tfcompress.demo

import android.app.Activity
import android.view.View

// findViewById is a platform type in android.jar but nullable in the framework that the checks compile against:
// these two work with both.

internal fun <T : View> Activity.view(id: Int): T =
    checkNotNull(findViewById<T>(id)) { "no view ${resources.getResourceName(id)}" }

internal fun <T : View> View.view(id: Int): T =
    checkNotNull(findViewById<T>(id)) { "no view ${resources.getResourceName(id)}" }

/** Shows a view or takes it out of the layout. */
internal var View.shown: Boolean
    get() = visibility == View.VISIBLE
    set(value) {
        visibility = if (value) View.VISIBLE else View.GONE
    }
