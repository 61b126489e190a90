package org.tfcompress.demo.core.policy

import org.tfcompress.demo.core.bench.Condition
import org.tfcompress.demo.core.bench.Thermal

/** A variant to choose from; null where nothing is known. [accuracy] is 0..1, [micros] measured on this phone. */
data class Candidate(val id: String, val accuracy: Double?, val micros: Double?, val bytes: Long)

/** What the choice aims at in the state that the phone is in. */
enum class Aim {
    /** The most accurate variant that answers within the budget. */
    ACCURACY,

    /** The fastest of those that are nearly as accurate as the best. */
    BALANCE,

    /** The fastest of all: least work, least heat. */
    ECONOMY
}

/** Why that aim. */
enum class Cause { COOL, WARM, HOT, BATTERY_SAVER, UNKNOWN_HEAT }

/** Why that variant. */
enum class Ground {
    MOST_ACCURATE,
    FASTEST,
    FASTEST_OF_NEARLY_BEST,
    NOTHING_WITHIN_BUDGET,
    NOT_WORTH_A_CHANGE,
    SMALLEST_UNMEASURED
}

/** One line of the explanation: how a candidate did. [eligible] tells whether the aim allowed it. */
data class Ranked(val candidate: Candidate, val eligible: Boolean)

/** The choice with its explanation, best first in [ranking]. */
data class Decision(
    val chosen: String,
    val aim: Aim,
    val cause: Cause,
    val ground: Ground,
    val ranking: List<Ranked>
)

/**
 * Picks the model at run time from battery saver, thermal status and measured latency: the same
 * task with less work when the phone has less to give.
 *
 * [budgetMicros] is the latency that a user does not feel, [tolerance] the accuracy (0..1) given
 * up for speed under [Aim.BALANCE], [inertia] the fraction of latency that a change has to win.
 */
class VariantPolicy(
    val budgetMicros: Double = 20_000.0,
    private val tolerance: Double = 0.002,
    private val inertia: Double = 0.1
) {
    init {
        require(budgetMicros > 0 && tolerance >= 0 && inertia in 0.0..1.0) {
            "out of range. Received: budgetMicros=$budgetMicros, tolerance=$tolerance, inertia=$inertia"
        }
    }

    /** The choice among variants that can run, or null if there is none; [current] is the one in use. */
    fun choose(candidates: List<Candidate>, condition: Condition, current: String? = null): Decision? {
        if (candidates.isEmpty()) return null
        val (aim, cause) = aim(condition)
        val eligible = eligible(candidates, aim)
        val pool = eligible.ifEmpty { candidates }
        val order = if (aim == Aim.ACCURACY && eligible.isNotEmpty()) ACCURATE_FIRST else FAST_FIRST
        val best = pool.minWith(order)
        val kept = pool.firstOrNull { it.id == current && it != best && order === FAST_FIRST && nearly(it, best) }
        val ground = if (kept == null) ground(best, aim, eligible.isEmpty()) else Ground.NOT_WORTH_A_CHANGE
        val ranking = candidates.map { Ranked(it, it in eligible) }
            .sortedWith(compareByDescending<Ranked> { it.eligible }.thenComparing({ it.candidate }, order))
        return Decision((kept ?: best).id, aim, cause, ground, ranking)
    }

    private fun aim(condition: Condition): Pair<Aim, Cause> {
        val thermal = condition.thermal
        return when {
            condition.batterySaver == true -> Aim.ECONOMY to Cause.BATTERY_SAVER
            thermal == null -> Aim.ACCURACY to Cause.UNKNOWN_HEAT
            thermal >= Thermal.SEVERE -> Aim.ECONOMY to Cause.HOT
            thermal >= Thermal.LIGHT -> Aim.BALANCE to Cause.WARM
            else -> Aim.ACCURACY to Cause.COOL
        }
    }

    private fun eligible(candidates: List<Candidate>, aim: Aim): List<Candidate> = when (aim) {
        Aim.ECONOMY -> candidates

        // What was never measured is allowed: it has to run once to be measured.
        Aim.ACCURACY -> candidates.filter { it.micros == null || it.micros <= budgetMicros }

        Aim.BALANCE -> {
            val best = candidates.mapNotNull { it.accuracy }.maxOrNull()
            if (best == null) candidates else candidates.filter { (it.accuracy ?: 0.0) >= best - tolerance - ROUNDING }
        }
    }

    private fun nearly(current: Candidate, best: Candidate): Boolean =
        current.micros != null && best.micros != null && current.micros * (1 - inertia) <= best.micros

    private fun ground(best: Candidate, aim: Aim, overBudget: Boolean): Ground = when {
        overBudget -> Ground.NOTHING_WITHIN_BUDGET
        aim == Aim.ACCURACY -> Ground.MOST_ACCURATE
        best.micros == null -> Ground.SMALLEST_UNMEASURED
        aim == Aim.BALANCE -> Ground.FASTEST_OF_NEARLY_BEST
        else -> Ground.FASTEST
    }

    private companion object {
        const val ROUNDING = 1e-12

        /** The measured ones first, the smaller of equally fast ones first. */
        val FAST_FIRST: Comparator<Candidate> =
            compareBy<Candidate> { it.micros ?: Double.MAX_VALUE }.thenBy { it.bytes }.thenBy { it.id }

        /** The known ones first, the faster of equally accurate ones first. */
        val ACCURATE_FIRST: Comparator<Candidate> =
            compareByDescending<Candidate> { it.accuracy ?: -1.0 }.then(FAST_FIRST)
    }
}
