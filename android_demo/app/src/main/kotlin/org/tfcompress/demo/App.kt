package org.tfcompress.demo

import android.app.Application

/** The process: owns everything that outlives a screen. */
class App : Application() {
    /** What the app is put together from; tests change it before the first screen. */
    lateinit var parts: Parts

    /** Made at first use. */
    val graph: AppGraph by lazy { AppGraph(this, parts) }

    override fun onCreate() {
        super.onCreate()
        parts = Parts.of(this)
    }
}
