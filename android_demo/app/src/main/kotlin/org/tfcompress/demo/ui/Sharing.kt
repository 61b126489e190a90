package org.tfcompress.demo.ui

import android.app.Activity
import android.content.Intent

/** Gives text to an app that the user picks; needs neither a file nor a permission. */
internal fun Activity.share(text: String, type: String, subject: String, title: CharSequence) {
    val send = Intent(Intent.ACTION_SEND)
        .setType(type)
        .putExtra(Intent.EXTRA_SUBJECT, subject)
        .putExtra(Intent.EXTRA_TEXT, text)
    startActivity(Intent.createChooser(send, title))
}
