package org.tfcompress.demo.ui

import android.view.LayoutInflater
import android.view.View
import android.widget.LinearLayout
import android.widget.TextView
import org.tfcompress.demo.R
import org.tfcompress.demo.core.bench.Condition
import org.tfcompress.demo.core.bench.Thermal
import org.tfcompress.demo.core.manifest.ModelManifest
import org.tfcompress.demo.core.policy.Cause
import org.tfcompress.demo.core.policy.Decision
import org.tfcompress.demo.core.policy.Ground
import org.tfcompress.demo.core.policy.Ranked
import org.tfcompress.demo.shown
import org.tfcompress.demo.view
import org.tfcompress.demo.work.Choice

/** The panel that tells which variant is in use now, and why that one. */
class PolicyCard(private val root: View, private val figures: Figures) {
    private val resources = checkNotNull(root.resources)
    private val ranking = root.view<LinearLayout>(R.id.policy_ranking)

    /** Before the first answer only the state of the phone is known. */
    fun show(choice: Choice?, condition: Condition, manifest: ModelManifest?, adaptive: Boolean) {
        val decision = choice?.decision
        root.view<TextView>(R.id.policy_choice).text =
            choice?.let { manifest?.model(it.id)?.title?.of(figures.locale.language) }
                ?: resources.getString(R.string.policy_none)
        root.view<TextView>(R.id.policy_reason).text = when {
            decision != null -> resources.getString(R.string.policy_because, of(decision.cause), of(decision.ground))
            adaptive -> resources.getString(R.string.policy_waits)
            else -> resources.getString(R.string.policy_off)
        }
        root.view<TextView>(R.id.policy_saver).setText(
            if (condition.batterySaver == true) R.string.saver_on else R.string.saver_off
        )
        root.view<TextView>(R.id.policy_heat).text = resources.getString(R.string.heat, heat(condition.thermal))
        rank(decision, manifest)
    }

    private fun rank(decision: Decision?, manifest: ModelManifest?) {
        ranking.removeAllViews()
        ranking.shown = decision != null
        val inflater = LayoutInflater.from(root.context)
        decision?.ranking?.forEach { ranked ->
            val row = checkNotNull(inflater.inflate(R.layout.row_fact, ranking, false))
            row.view<TextView>(R.id.fact).text =
                manifest?.model(ranked.candidate.id)?.title?.of(figures.locale.language)
            row.view<TextView>(R.id.value).text = figures(ranked, decision.chosen)
            ranking.addView(row)
        }
    }

    private fun figures(ranked: Ranked, chosen: String): String {
        val candidate = ranked.candidate
        val parts = listOfNotNull(
            candidate.accuracy?.let { figures.percent(it, 2) },
            candidate.micros?.let(figures::micros) ?: resources.getString(R.string.not_measured),
            resources.getString(R.string.in_use).takeIf { candidate.id == chosen },
            resources.getString(R.string.not_eligible).takeIf { !ranked.eligible }
        )
        return parts.joinToString(" · ")
    }

    private fun of(cause: Cause): String = resources.getString(
        when (cause) {
            Cause.COOL -> R.string.cause_cool
            Cause.WARM -> R.string.cause_warm
            Cause.HOT -> R.string.cause_hot
            Cause.BATTERY_SAVER -> R.string.cause_saver
            Cause.UNKNOWN_HEAT -> R.string.cause_unknown
        }
    )

    private fun of(ground: Ground): String = resources.getString(
        when (ground) {
            Ground.MOST_ACCURATE -> R.string.ground_accurate
            Ground.FASTEST -> R.string.ground_fastest
            Ground.FASTEST_OF_NEARLY_BEST -> R.string.ground_balanced
            Ground.NOTHING_WITHIN_BUDGET -> R.string.ground_budget
            Ground.NOT_WORTH_A_CHANGE -> R.string.ground_kept
            Ground.SMALLEST_UNMEASURED -> R.string.ground_unmeasured
        }
    )

    private fun heat(thermal: Thermal?): String = resources.getString(
        when (thermal) {
            null -> R.string.heat_unknown
            Thermal.NONE -> R.string.heat_none
            Thermal.LIGHT -> R.string.heat_light
            Thermal.MODERATE -> R.string.heat_moderate
            Thermal.SEVERE -> R.string.heat_severe
            Thermal.CRITICAL, Thermal.EMERGENCY, Thermal.SHUTDOWN -> R.string.heat_critical
        }
    )
}
