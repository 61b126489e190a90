package org.tfcompress.demo.work

import java.io.File
import java.io.IOException
import java.time.Instant
import java.time.ZoneId
import java.time.temporal.ChronoUnit
import org.tfcompress.demo.core.bench.Generator
import org.tfcompress.demo.core.monitor.MonitorLog
import org.tfcompress.demo.core.monitor.MonitorOrigin
import org.tfcompress.demo.core.run.Outcome
import org.tfcompress.demo.data.Phone

/** How many answers were counted and how sure they were, one number per confidence bin. */
class MonitorSummary(val count: Long, val confidence: LongArray)

/** The local log of answers: kept in the app's own files, exported only by the user. Of the model thread. */
class Monitor(folder: File, private val phone: Phone, private val now: () -> Instant) {
    private val file = File(folder, "monitor.json")
    private var log: MonitorLog? = null

    /** For the Settings screen; null before the first look at the log. */
    val summary = Live<MonitorSummary?>(null)

    private fun open(shop: Workshop): MonitorLog = log ?: (read(shop) ?: MonitorLog(shop.manifest)).also { log = it }

    private fun read(shop: Workshop): MonitorLog? = try {
        if (file.exists()) MonitorLog.restore(file.readText(), shop.manifest, shop.sha256) else null
    } catch (_: IOException) {
        null
    }

    /** Counts the answer of the variant in use. */
    fun record(shop: Workshop, outcome: Outcome) {
        val day = now().atZone(ZoneId.systemDefault()).toLocalDate().toString()
        when (outcome) {
            is Outcome.Answered -> open(shop).record(day, outcome.entry, outcome.prediction, outcome.micros)
            is Outcome.Unavailable -> open(shop).recordFailure(day, outcome.entry)
        }
        save(shop)
    }

    /** What was counted so far. */
    fun look(shop: Workshop): MonitorSummary = open(shop).let { MonitorSummary(it.count, it.confidence) }

    /** The log as JSON. */
    fun export(shop: Workshop): String {
        val origin = MonitorOrigin(Generator(phone.version, shop.sha256), phone.device, phone.runtime)
        return open(shop).toJson(now().truncatedTo(ChronoUnit.SECONDS).toString(), origin)
    }

    /** Forgets everything, on disk too. */
    fun clear(shop: Workshop) {
        open(shop).clear()
        save(shop)
    }

    private fun save(shop: Workshop) {
        val next = File(file.path + ".new")
        next.writeText(export(shop))
        if (!next.renameTo(file)) throw IOException("can't write $file")
    }
}
