package org.tfcompress.demo

import android.content.Context
import java.time.Instant
import java.util.concurrent.Executor
import java.util.concurrent.Executors
import org.tfcompress.demo.core.engine.EngineFactory
import org.tfcompress.demo.core.run.Clock
import org.tfcompress.demo.core.security.ModelFiles
import org.tfcompress.demo.core.security.TrustedKey
import org.tfcompress.demo.data.AssetFiles
import org.tfcompress.demo.data.Keyring
import org.tfcompress.demo.data.Phone
import org.tfcompress.demo.data.PreferenceFlags
import org.tfcompress.demo.data.SettingsStore
import org.tfcompress.demo.engine.FlavourEngines
import org.tfcompress.demo.engine.PatientEngines
import org.tfcompress.demo.work.Benchmark
import org.tfcompress.demo.work.Classifier
import org.tfcompress.demo.work.Gallery
import org.tfcompress.demo.work.ModelThread
import org.tfcompress.demo.work.Monitor

/** The parts that are different on a host: files, runtime, key, clocks, and the thread that owns the models. */
data class Parts(
    val files: ModelFiles,
    val engines: EngineFactory,
    val key: TrustedKey,
    val models: Executor,
    val clock: Clock = Clock { System.nanoTime() },
    val pause: (millis: Long) -> Unit = { Thread.sleep(it) },
    val now: () -> Instant = { Instant.now() }
) {
    companion object {
        /** Those of a phone. */
        fun of(context: Context) = Parts(
            files = AssetFiles(context.assets, "models"),
            engines = PatientEngines(FlavourEngines(context), Executors.newCachedThreadPool { Thread(it, "opening") }),
            key = TrustedKey.bundled(),
            models = Executors.newSingleThreadExecutor { Thread(it, "models") }
        )
    }
}

/** Everything of the process, put together by hand. */
class AppGraph(context: Context, val parts: Parts) {
    val phone = Phone(context, parts.engines.runtime)
    val settings = SettingsStore(context, phone.cores)
    val keyring = Keyring()
    val thread = ModelThread(parts.models)
    val gallery = Gallery(parts, thread, keyring, PreferenceFlags(context))
    val monitor = Monitor(context.filesDir, phone, parts.now)
    val classifier = Classifier(gallery, thread, settings, phone, monitor)
    val benchmark = Benchmark(gallery, thread, settings, phone, parts)

    init {
        gallery.load()
    }
}
