package org.tfcompress.demo.core.policy

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Test
import org.tfcompress.demo.core.bench.Condition
import org.tfcompress.demo.core.bench.Thermal

class VariantPolicyTest {
    private val large = Candidate("large", 0.993, 900.0, 27_000)
    private val middle = Candidate("middle", 0.992, 500.0, 16_000)
    private val small = Candidate("small", 0.985, 300.0, 9_000)
    private val all = listOf(small, large, middle)
    private val policy = VariantPolicy()
    private val cool = Condition(Thermal.NONE, false)

    private fun choose(condition: Condition, candidates: List<Candidate> = all, current: String? = null) =
        policy.choose(candidates, condition, current)!!.run { listOf(chosen, aim, cause, ground) }

    @Test
    fun `a cool phone takes the most accurate`() {
        assertEquals(listOf("large", Aim.ACCURACY, Cause.COOL, Ground.MOST_ACCURATE), choose(cool))
        assertEquals(Cause.UNKNOWN_HEAT, choose(Condition(null, null))[2])
    }

    @Test
    fun `a warm phone takes the fastest of the nearly best`() {
        val expected = listOf("middle", Aim.BALANCE, Cause.WARM, Ground.FASTEST_OF_NEARLY_BEST)
        assertEquals(expected, choose(Condition(Thermal.LIGHT, false)))
        assertEquals(expected, choose(Condition(Thermal.MODERATE, null)))
    }

    @Test
    fun `a hot phone and a saved battery take the fastest`() {
        assertEquals(listOf("small", Aim.ECONOMY, Cause.HOT, Ground.FASTEST), choose(Condition(Thermal.SEVERE, false)))
        val saving = listOf("small", Aim.ECONOMY, Cause.BATTERY_SAVER, Ground.FASTEST)
        assertEquals(saving, choose(Condition(Thermal.NONE, true)))
    }

    @Test
    fun `what is over the budget is left out, unless nothing is within`() {
        val slow = VariantPolicy(budgetMicros = 600.0)
        assertEquals("middle", slow.choose(all, cool)!!.chosen)
        val decision = VariantPolicy(budgetMicros = 10.0).choose(all, cool)!!
        assertEquals("small" to Ground.NOTHING_WITHIN_BUDGET, decision.chosen to decision.ground)
    }

    @Test
    fun `a small gain is not worth a change`() {
        val near = listOf(small.copy(micros = 300.0), middle.copy(micros = 320.0))
        val saver = Condition(null, true)
        assertEquals(
            listOf("middle", Ground.NOT_WORTH_A_CHANGE),
            choose(saver, near, "middle").let {
                listOf(it[0], it[3])
            }
        )
        assertEquals("small", choose(saver, near, "small")[0])
        assertEquals("small", choose(saver, all, "large")[0])
        assertEquals("small", choose(saver, near, "gone")[0])
    }

    @Test
    fun `without measurements size decides, without accuracy speed does`() {
        val unmeasured = all.map { it.copy(micros = null) }
        assertEquals(
            listOf("small", Ground.SMALLEST_UNMEASURED),
            choose(Condition(null, true), unmeasured).let {
                listOf(it[0], it[3])
            }
        )
        assertEquals("large", choose(cool, unmeasured)[0])
        assertEquals("small", choose(cool, all.map { it.copy(accuracy = null) })[0])
        assertEquals("small", choose(Condition(Thermal.LIGHT, null), all.map { it.copy(accuracy = null) })[0])
    }

    @Test
    fun `the explanation ranks all candidates, those allowed first`() {
        val ranking = policy.choose(all, Condition(Thermal.LIGHT, false))!!.ranking
        assertEquals(
            listOf("middle" to true, "large" to true, "small" to false),
            ranking.map {
                it.candidate.id to
                    it.eligible
            }
        )
    }

    @Test
    fun `the choice does not depend on the order of the candidates`() {
        for (condition in listOf(cool, Condition(Thermal.LIGHT, null), Condition(null, true))) {
            assertEquals(
                1,
                listOf(
                    all, all.reversed(),
                    all.sortedBy {
                        it.id
                    }
                ).map { policy.choose(it, condition) }.distinct().size
            )
        }
    }

    @Test
    fun `nothing to choose from is no choice, and nonsense is refused`() {
        assertNull(policy.choose(emptyList(), cool))
        assertThrows(IllegalArgumentException::class.java) { VariantPolicy(budgetMicros = 0.0) }
    }
}
