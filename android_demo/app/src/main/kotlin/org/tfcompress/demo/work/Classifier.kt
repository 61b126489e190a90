package org.tfcompress.demo.work

import org.tfcompress.demo.core.bench.Condition
import org.tfcompress.demo.core.image.GrayImage
import org.tfcompress.demo.core.policy.Candidate
import org.tfcompress.demo.core.policy.Decision
import org.tfcompress.demo.core.policy.VariantPolicy
import org.tfcompress.demo.core.run.Outcome
import org.tfcompress.demo.core.run.VariantState
import org.tfcompress.demo.core.settings.Settings
import org.tfcompress.demo.data.Phone
import org.tfcompress.demo.data.SettingsStore

/** The variant in use: [decision] explains it, or is null where the user has switched the choice off. */
class Choice(val id: String, val decision: Decision?, val condition: Condition)

/** What all variants say about [image]; [label] is its true class where that is known. */
class Answers(val image: GrayImage, val label: Int?, val outcomes: List<Outcome>, val choice: Choice?) {
    /** The answer of the variant in use, or null if none could run. */
    val chosen: Outcome.Answered? get() = outcomes.firstOrNull { it.entry.id == choice?.id } as? Outcome.Answered
}

/** Lets all variants read a picture, chooses one, and counts what it said. */
class Classifier(
    private val gallery: Gallery,
    private val thread: ModelThread,
    private val settings: SettingsStore,
    private val phone: Phone,
    private val monitor: Monitor
) {
    private val policy = VariantPolicy()
    private var turn = 0
    private var current: String? = null

    /** The answers to show; null where there is no picture. */
    val answers = Live<Answers?>(null)

    /**
     * Reads [image]: 28 x 28, as the models take it. Answers to older pictures are dropped. Only what the user
     * has just drawn or picked is [fresh] and counted, not what is read again with other settings.
     */
    fun classify(image: GrayImage, label: Int?, fresh: Boolean) {
        val mine = ++turn
        thread.run({ gallery.workshop?.let { answer(it, image, label, fresh) } }) { found ->
            if (found != null && mine == turn) {
                answers.value = found
                found.outcomes.filterIsInstance<Outcome.Unavailable>().forEach { gallery.update(it.entry, it.state) }
            }
        }
    }

    /** There is no picture any more. */
    fun clear() {
        turn++
        answers.value = null
    }

    private fun answer(shop: Workshop, image: GrayImage, label: Int?, fresh: Boolean): Answers {
        val wanted = settings.current.value
        val outcomes = shop.runner.run(image, wanted.engine)
        val choice = choose(shop, outcomes, wanted)
        if (wanted.monitoring && fresh) {
            outcomes.filter { it.entry.id == choice?.id || it.failed }.forEach { monitor.record(shop, it) }
            monitor.look(shop).let { summary -> thread.tell { monitor.summary.value = summary } }
        }
        return Answers(image, label, outcomes, choice)
    }

    private val Outcome.failed get() = this is Outcome.Unavailable && state is VariantState.Failed

    private fun choose(shop: Workshop, outcomes: List<Outcome>, wanted: Settings): Choice? {
        val condition = phone.condition()
        val able = outcomes.filterIsInstance<Outcome.Answered>().map { it.entry }
        if (!wanted.adaptive) {
            val fixed = able.firstOrNull { it.id == shop.manifest.reference } ?: able.firstOrNull()
            return fixed?.let { Choice(it.id, null, condition) }
        }
        val micros = shop.runner.medians(wanted.engine)
        val candidates = able.map { Candidate(it.id, it.metrics?.top1, micros[it.id], it.plain.bytes) }
        return policy.choose(candidates, condition, current)?.let {
            current = it.chosen
            Choice(it.chosen, it, condition)
        }
    }
}
