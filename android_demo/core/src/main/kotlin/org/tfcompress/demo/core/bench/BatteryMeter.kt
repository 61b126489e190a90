package org.tfcompress.demo.core.bench

import kotlin.math.abs

/** What a phone says of its battery at one moment; null where it does not tell. */
data class BatteryReading(
    /** Charge left, in microampere-hours. */
    val charge: Long?,
    /** Current in microamperes; whether discharging is below or above zero differs from phone to phone. */
    val current: Long?,
    val millivolts: Int?,
    /** Whether a cable or a charging pad feeds the phone. */
    val onPower: Boolean
)

/** Energy of one inference, of the whole phone with its screen: coarse. Either [joules] or the [reason] is there. */
class BatteryEnergy(val joules: Double?, val reason: String?)

/**
 * Adds up the energy that the battery gave during the blocks of one model.
 *
 * Charge times voltage where the counter of charge fell in every block, so that its steps are finer than a
 * block; else current times voltage at both ends of each block.
 */
internal class BatteryMeter {
    private class Block(val before: BatteryReading, val after: BatteryReading, val seconds: Double) {
        val volts = mean(before.millivolts, after.millivolts, MILLI)?.takeIf { it in PLAUSIBLE_VOLTS }

        /** Joules by the counter of charge; null if it is not there or did not fall. */
        val byCharge = if (volts == null || before.charge == null || after.charge == null) {
            null
        } else {
            ((before.charge - after.charge) / MICRO * SECONDS_PER_HOUR * volts).takeIf { it > 0 }
        }

        /** Joules by the current; what is too small for a phone at work is in other units. */
        val byCurrent = mean(before.current, after.current, MICRO)?.takeIf { it >= LEAST_AMPERES }
            ?.let { amperes -> volts?.let { it * amperes * seconds } }

        /** Mean size of two readings, brought to whole units. */
        private fun mean(first: Number?, second: Number?, unit: Double): Double? =
            if (first == null || second == null) null else (abs(first.toDouble()) + abs(second.toDouble())) / 2 / unit
    }

    private val blocks = ArrayList<Block>()
    private var silent = false

    /** Adds a block of runs that took [seconds], with what the battery said before and after. */
    fun add(before: BatteryReading?, after: BatteryReading?, seconds: Double) {
        if (before == null || after == null) silent = true else blocks.add(Block(before, after, seconds))
    }

    /** The energy of one of [runs] runs. */
    fun perRun(runs: Int): BatteryEnergy {
        val reason = when {
            blocks.any { it.before.onPower || it.after.onPower } -> "the phone was charging"
            silent || blocks.isEmpty() -> NOTHING
            blocks.sumOf { it.seconds } < LEAST_SECONDS -> SHORT
            else -> null
        }
        if (reason != null) return BatteryEnergy(null, reason)
        val joules = total { it.byCharge } ?: total { it.byCurrent } ?: return BatteryEnergy(null, NOTHING)
        return BatteryEnergy(joules / runs, null)
    }

    private fun total(of: (Block) -> Double?): Double? {
        val found = blocks.mapNotNull(of)
        return if (found.size == blocks.size) found.sum() else null
    }

    companion object {
        /** What counters that move in steps need of each model. */
        const val LEAST_SECONDS = 30.0
        private const val MILLI = 1e3
        private const val MICRO = 1e6
        private const val SECONDS_PER_HOUR = 3600.0
        private const val LEAST_AMPERES = 0.01
        private val PLAUSIBLE_VOLTS = 2.0..20.0
        private const val NOTHING = "the battery tells neither charge nor current"
        private const val SHORT = "the run was too short for the counters of a battery: 30 s of each model are needed"
    }
}
