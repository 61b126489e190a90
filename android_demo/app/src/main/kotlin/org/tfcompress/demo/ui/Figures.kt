package org.tfcompress.demo.ui

import android.content.res.Resources
import java.math.RoundingMode
import java.text.NumberFormat
import java.util.Locale
import org.tfcompress.demo.R
import org.tfcompress.demo.core.engine.Accelerator
import org.tfcompress.demo.core.engine.EngineConfig
import org.tfcompress.demo.core.engine.EngineInfo

/** Numbers as the user's language writes them, with their units. */
class Figures(private val resources: Resources) {
    val locale: Locale = resources.configuration.locales[0]

    private fun number(value: Double, digits: Int): String = NumberFormat.getNumberInstance(locale).apply {
        minimumFractionDigits = digits
        maximumFractionDigits = digits
    }.format(value)

    /** Three digits or so: 0.8, 41, 1,240 us. */
    fun micros(value: Double): String = resources.getString(R.string.micros, number(value, if (value < 10) 1 else 0))

    /** Two digits behind the point below ten: 0.84, 12 mJ. */
    fun millijoules(joules: Double): String = (joules * 1000).let {
        resources.getString(R.string.millijoules, number(it, if (it < 10) 2 else 0))
    }

    fun size(bytes: Long): String = if (bytes < 1000) {
        resources.getString(R.string.bytes, count(bytes))
    } else {
        resources.getString(R.string.kilobytes, number(bytes / 1000.0, 1))
    }

    fun count(value: Long): String = NumberFormat.getIntegerInstance(locale).format(value)

    fun percent(fraction: Double, digits: Int = 0): String = NumberFormat.getPercentInstance(locale).apply {
        minimumFractionDigits = digits
        maximumFractionDigits = digits
    }.format(fraction)

    /** A probability; what is nearly certain is not rounded to certain. */
    fun confidence(probability: Double): String {
        if (probability < NEARLY) return percent(probability)
        return NumberFormat.getPercentInstance(locale).apply {
            minimumFractionDigits = 1
            maximumFractionDigits = 1
            roundingMode = RoundingMode.DOWN
        }.format(probability)
    }

    /** A plain number, six digits at most behind the point. */
    fun plain(value: Double): String =
        NumberFormat.getNumberInstance(locale).apply { maximumFractionDigits = 6 }.format(value)

    /** How many times smaller. */
    fun ratio(value: Double): String = number(value, 1)

    /** What a model runs on. */
    fun engine(config: EngineConfig): String = when {
        config.accelerator != Accelerator.CPU -> config.accelerator.name
        config.xnnpack -> resources.getQuantityString(R.plurals.on_cpu_xnnpack, config.threads, config.threads)
        else -> resources.getQuantityString(R.plurals.on_cpu_plain, config.threads, config.threads)
    }

    /** What a model did run on, and why that is not what was asked for. */
    fun engine(info: EngineInfo): String {
        val actual = engine(info.requested.copy(accelerator = info.actual))
        if (!info.fellBack) return actual
        return resources.getString(R.string.on_instead, actual, info.requested.accelerator.name, info.reason.orEmpty())
    }

    private companion object {
        const val NEARLY = 0.99
    }
}
