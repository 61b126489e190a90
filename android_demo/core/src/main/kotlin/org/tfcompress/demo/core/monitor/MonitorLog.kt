package org.tfcompress.demo.core.monitor

import org.tfcompress.demo.core.bench.Device
import org.tfcompress.demo.core.bench.Generator
import org.tfcompress.demo.core.engine.RuntimeInfo
import org.tfcompress.demo.core.manifest.ModelEntry
import org.tfcompress.demo.core.manifest.ModelManifest
import org.tfcompress.demo.core.run.Prediction

/** Whose log it is: app, phone and runtime, written into each export. */
class MonitorOrigin(val generator: Generator, val device: Device, val runtime: RuntimeInfo)

/**
 * What the app remembers about its use, on this phone only: per day and variant the number of
 * answers, their classes, confidence and latency. No pictures, no inputs, no times of day.
 */
class MonitorLog(internal val manifest: ModelManifest, private val keepDays: Int = KEEP_DAYS) {
    /** Counts of one variant on one day. */
    internal class Tally(classes: Int, confidenceBins: Int, latencyBins: Int) {
        var count = 0L
        var failures = 0L
        val classes = LongArray(classes)
        val confidence = LongArray(confidenceBins)
        val latency = LongArray(latencyBins)
    }

    internal val confidenceBins = Histogram(manifest.edges.confidence, open = false)
    internal val latencyBins = Histogram(manifest.edges.latencyMicros, open = true)
    internal val days = java.util.TreeMap<String, LinkedHashMap<String, Tally>>()

    /** Answers in all. */
    val count: Long get() = days.values.sumOf { day -> day.values.sumOf { it.count } }

    /** Answers per confidence bin, over all days and variants. */
    val confidence: LongArray
        get() {
            val tallies = days.values.flatMap { it.values }
            return LongArray(confidenceBins.bins) { bin -> tallies.sumOf { it.confidence[bin] } }
        }

    /** Counts an answer. [day] is the local date, `2026-05-04`. */
    fun record(day: String, entry: ModelEntry, prediction: Prediction, micros: Double) {
        val confidence = checkNotNull(confidenceBins.bin(prediction.confidence)) {
            "a confidence of ${prediction.confidence} is in no bin of ${manifest.edges.confidence}"
        }
        val latency = checkNotNull(latencyBins.bin(micros)) { "a latency of $micros us is in no bin" }
        val tally = tally(day, entry.id)
        tally.count++
        tally.classes[prediction.label]++
        tally.confidence[confidence]++
        tally.latency[latency]++
    }

    /** Counts a run that gave no answer. */
    fun recordFailure(day: String, entry: ModelEntry) {
        tally(day, entry.id).failures++
    }

    /** Forgets everything. */
    fun clear() = days.clear()

    /** JSON of schema `tfcompress.monitor/1`; [created] is UTC, ISO 8601 with seconds. */
    fun toJson(created: String, origin: MonitorOrigin): String = MonitorText.write(this, created, origin)

    internal fun tally(day: String, id: String): Tally {
        require(DAY.matches(day)) { "a day is written 2026-05-04. Received: $day" }
        val variants = days.getOrPut(day) { LinkedHashMap() }
        while (days.size > keepDays && days.firstKey() != day) days.pollFirstEntry()
        return variants.getOrPut(id) { Tally(manifest.labels.size, confidenceBins.bins, latencyBins.bins) }
    }

    companion object {
        /** Days that are kept; older ones are dropped. */
        const val KEEP_DAYS = 90
        private val DAY = Regex("""\d{4}-\d{2}-\d{2}""")

        /**
         * The log that [toJson] wrote. Null where the text is damaged or its counts belong to other
         * models ([manifestSha256] differs): then a new log begins.
         */
        fun restore(text: String, manifest: ModelManifest, manifestSha256: String): MonitorLog? =
            MonitorText.read(text, manifest, manifestSha256)
    }
}
