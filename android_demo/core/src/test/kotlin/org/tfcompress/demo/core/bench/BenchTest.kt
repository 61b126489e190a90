package org.tfcompress.demo.core.bench

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.tfcompress.demo.core.LinearEngine
import org.tfcompress.demo.core.LinearFactory
import org.tfcompress.demo.core.TestFolder
import org.tfcompress.demo.core.Vectors
import org.tfcompress.demo.core.doubles
import org.tfcompress.demo.core.engine.EngineConfig
import org.tfcompress.demo.core.json.JsonArray
import org.tfcompress.demo.core.json.JsonFields
import org.tfcompress.demo.core.json.StrictJson
import org.tfcompress.demo.core.manifest.FileDigest
import org.tfcompress.demo.core.run.AgreementMatrix
import org.tfcompress.demo.core.run.Clock
import org.tfcompress.demo.core.run.SampleScores
import org.tfcompress.demo.core.security.directCopy

class BenchTest {
    private val factory = LinearFactory()

    /** A phone on which each reading of the clock comes [step] ns after the one before. */
    private class Phone(
        var step: Long = 10_000,
        private val stopAfter: Int = Int.MAX_VALUE,
        val heap: Long? = 1000,
        /** What the battery says at a moment given in seconds. */
        private val told: (Double) -> BatteryReading? = { null }
    ) : BenchHost {
        private var now = 0L
        private var polls = 0
        private var heapReads = 0
        val steps = ArrayList<String>()
        var paused = 0.0

        override val clock = Clock {
            now += step
            now
        }

        override fun nativeHeapBytes(): Long? = heap?.let { it * ++heapReads }

        override fun battery(): BatteryReading? = told(now / 1e9)

        override fun pause(seconds: Double) {
            paused += seconds
            now += (seconds * 1e9).toLong()
        }

        override fun stopped(): Boolean = ++polls > stopAfter

        override fun progress(name: String, block: Int, blocks: Int) {
            steps.add("$name $block/$blocks")
        }
    }

    private fun subject(name: String) = BenchSubject(
        name,
        FileDigest(48, "ab".repeat(32)),
        directCopy(ByteArray(16))
    ) { factory.open(directCopy(LinearEngine.model(TestFolder.LIKES)), EngineConfig(threads = 2)) }

    private fun run(phone: Phone, vararg names: String, protocol: BenchProtocol = BenchProtocol(BenchMode.QUICK)) =
        BenchRunner(phone).run(names.map(::subject), protocol)

    @Test
    fun `percentiles and statistics are Python's`() {
        val cases = Vectors.read("percentiles").list("cases")
        for (case in cases) {
            val values = case.doubles("values")
            val percentiles = case.fields("percentiles")
            for (p in percentiles.names) {
                val found = Percentiles.nearestRank(values, p.toInt())
                assertEquals(percentiles.double(p), found, "${case.string("name")} $p")
            }
            val wanted = case.fields("statistics")
            val found = LatencyStats.of(values)
            assertEquals(wanted.int("n"), found.n)
            assertEquals(wanted.double("mean_us"), found.meanUs, 1e-9 * wanted.double("mean_us"))
            assertEquals(
                wanted.double("std_us"), found.stdUs,
                1e-9 * maxOf(wanted.double("std_us"), wanted.double("mean_us"))
            )
            val exact = listOf("min_us", "max_us", "p50_us", "p90_us", "p95_us", "p99_us").map(wanted::double)
            assertEquals(exact, found.run { listOf(minUs, maxUs, p50Us, p90Us, p95Us, p99Us) })
        }
        assertTrue(cases.isNotEmpty())
    }

    @Test
    fun `a percentile is one of the values`() {
        val values = doubleArrayOf(30.0, 10.0, 20.0, 40.0)
        assertEquals(listOf(10.0, 20.0, 40.0, 40.0), listOf(0, 50, 90, 100).map { Percentiles.nearestRank(values, it) })
        assertThrows(IllegalArgumentException::class.java) { Percentiles.nearestRank(values, 101) }
        assertThrows(IllegalArgumentException::class.java) { Percentiles.nearestRank(DoubleArray(0), 50) }
        assertThrows(IllegalArgumentException::class.java) { LatencyStats.of(DoubleArray(0)) }
    }

    @Test
    fun `the loop is that of benchmark_model`() {
        val rule = LoopRule(50, 1.0, 150.0)
        assertTrue(rule.wantsMore(49, 2.0) && rule.wantsMore(60, 0.9))
        assertFalse(rule.wantsMore(50, 1.0) || rule.wantsMore(3, 150.1))
        assertEquals(listOf(17, 34, 50), (0..2).map { rule.part(it, 3).runs })
        assertEquals(rule, rule.part(4, 5))
        assertThrows(IllegalArgumentException::class.java) { LoopRule(-1, 0.0, 0.0) }
        assertThrows(IllegalArgumentException::class.java) { BenchProtocol(BenchMode.QUICK, blocks = 0) }
    }

    @Test
    fun `variants take turns, and each round begins with another one`() {
        val phone = Phone()
        val run = run(phone, "a", "b", "c", protocol = BenchProtocol(BenchMode.QUICK, blocks = 4))!!
        assertEquals("a b c b c a c a b a b c".split(" "), run.order)
        assertEquals(listOf("a 0/4", "b 0/4", "c 0/4", "a 1/4"), phone.steps.take(4))
        assertEquals(12 * 0.05, phone.paused, 1e-9)
        assertEquals(4, factory.opened.size)
        assertTrue(factory.opened.all { it.closed })
    }

    @Test
    fun `runs are timed without the copy, pauses and other variants`() {
        val result = run(Phone(step = 10_000), "a", "b")!!.results[0]
        assertEquals(10.0, result.latency.p50Us)
        assertEquals(10.0, result.latency.maxUs)
        assertEquals(10.0, result.copyInUs)
        assertEquals(10.0, result.firstUs)
        assertTrue(result.latency.n >= 1_000_000 / 30 - 5, "a second of own time in ${result.latency.n} runs")
        assertTrue(result.warmupRuns >= 500_000 / 30 - 5)
        assertEquals(1000L, result.nativeHeapBytes)
        assertEquals(12.5, result.info.initMicros)
    }

    @Test
    fun `slow models stop at the cap, with at least one run`() {
        val protocol = BenchProtocol(BenchMode.STANDARD, maxSeconds = 150.0)
        val result = run(Phone(step = 40_000_000_000), "a", protocol = protocol)!!.results[0]
        assertEquals(2, result.latency.n)
    }

    @Test
    fun `stopping gives no result and closes all`() {
        for (polls in listOf(0, 1, 30, 60_000)) {
            factory.opened.clear()
            assertNull(run(Phone(stopAfter = polls), "a", "b"), "after $polls")
            assertTrue(factory.opened.all { it.closed })
        }
    }

    @Test
    fun `an empty or ambiguous list is refused`() {
        assertThrows(IllegalArgumentException::class.java) { run(Phone()) }
        assertThrows(IllegalArgumentException::class.java) { run(Phone(), "a", "a") }
    }

    /** A phone that takes 0.5 A at 4 V, all the time. */
    private fun steady(seconds: Double) =
        BatteryReading(3_000_000 - (seconds * 500_000 / 3600).toLong(), -500_000, 4000, false)

    private fun energy(mode: BenchMode = BenchMode.THOROUGH, told: (Double) -> BatteryReading?): BatteryEnergy {
        val phone = Phone(step = 10_000_000, told = told)
        val results = run(phone, "a", "b", protocol = BenchProtocol(mode))!!.results
        // Each run takes three readings of the clock.
        assertTrue(results.all { it.latency.p50Us == 10_000.0 })
        return results[0].energy
    }

    @Test
    fun `energy is what the battery gave during a model's own blocks`() {
        fun joules(told: (Double) -> BatteryReading?): Double {
            val found = energy(told = told)
            assertNull(found.reason)
            return checkNotNull(found.joules)
        }
        assertEquals(2.0 * 0.03, joules { steady(it).copy(current = null) }, 0.001)
        assertEquals(2.0 * 0.03, joules { steady(it).copy(charge = null) }, 0.001)
        // Some phones count a current that leaves the battery above zero.
        assertEquals(2.0 * 0.03, joules { steady(it).copy(charge = null, current = 500_000) }, 0.001)
        // A counter that did not fall in each block is too coarse: the current is taken.
        val coarse = { now: Double -> 3_000_000 - (now / 50).toLong() * 7000 }
        assertEquals(1.0 * 0.03, joules { steady(it).copy(charge = coarse(it), current = -250_000) }, 0.001)
    }

    @Test
    fun `no energy is told where the battery can't tell it`() {
        fun reason(mode: BenchMode = BenchMode.THOROUGH, told: (Double) -> BatteryReading?): String {
            val found = energy(mode, told)
            assertNull(found.joules)
            return found.reason!!
        }
        assertEquals("the phone was charging", reason { steady(it).copy(onPower = it > 100) })
        val nothing = "the battery tells neither charge nor current"
        assertEquals(nothing, reason { null })
        assertEquals(nothing, reason { if (it > 100) null else steady(it) })
        assertEquals(nothing, reason { steady(it).copy(charge = null, current = null) })
        assertEquals(nothing, reason { steady(it).copy(millivolts = null) })
        assertEquals(nothing, reason { steady(it).copy(millivolts = 4) })
        // In milliamperes, as some phones have it.
        assertEquals(nothing, reason { steady(it).copy(charge = 3_000_000, current = -500) })
        assertTrue(reason(BenchMode.STANDARD, ::steady).startsWith("the run was too short"))
        assertEquals(listOf(false, false, true), BenchMode.entries.map { it.measuresEnergy })
    }

    @Test
    fun `energy is in the report with its source or the reason`() {
        val short = JsonFields.of(StrictJson.parse(report().toJson()), "report").list("results")[0].fields("energy")
        assertEquals(setOf("joules", "source", "reason"), short.names.toSet())
        assertEquals("the battery tells neither charge nor current", short.string("reason"))
        assertFalse(report().hasEnergy)
        val long = Phone(step = 10_000_000, told = ::steady)
        val report = report(run = run(long, "a", protocol = BenchProtocol(BenchMode.THOROUGH))!!)
        val told = JsonFields.of(StrictJson.parse(report.toJson()), "report").list("results")[0].fields("energy")
        assertEquals("battery", told.string("source"))
        assertEquals(2.0 * 0.03, told.double("joules"), 0.001)
        assertTrue(report.hasEnergy)
        val (header, row) = BenchCsv.write(report(run = report.run, device = "Phone")).lines().map { it.split(",") }
        assertEquals(report.run.results[0].energy.joules.toString(), row[header.indexOf("energy_j")])
    }

    private fun report(
        condition: Condition = Condition(Thermal.NONE, false),
        scores: SampleScores? = null,
        device: String = "Maker Phone, 2",
        run: BenchRun = run(Phone(heap = null), "a", "b")!!
    ) = BenchReport(
        created = "2026-05-04T03:02:01Z",
        generator = Generator("0.1.0", "cd".repeat(32)),
        device = Device(device, null, "Android 16", 36, "arm64-v8a", 8),
        runtime = factory.runtime,
        before = Condition(null, null),
        after = condition,
        run = run,
        samples = 2,
        scores = scores
    )

    @Test
    fun `the report has every member of the schema`() {
        val scores = SampleScores(AgreementMatrix(mapOf("a" to listOf(1, 2), "b" to listOf(1, 1))), listOf(1, 1), "a")
        val fields = JsonFields.of(StrictJson.parse(report(scores = scores).toJson()), "report")
        val schema = schema()
        for (name in schema.strings("required")) fields.need(name)
        val parts = schema.fields("properties")
        for (name in listOf("generator", "device", "runtime", "protocol")) {
            for (member in parts.fields(name).strings("required")) fields.fields(name).need(member)
        }
        val results = fields.list("results")
        assertEquals(listOf("a", "b"), results.map { it.string("name") })
        val rule = schema.fields("\$defs").fields("result")
        for (name in rule.strings("required")) results[0].need(name)
        for (member in rule.fields("properties").fields("latency").strings("required")) {
            results[0].fields("latency").need(member)
        }
        assertEquals("golden", fields.fields("protocol").string("input"))
        assertEquals(listOf(1.0, 0.5), results.map { it.double("agreement") })
        assertEquals(10, (fields.need("order") as JsonArray).items.size)
    }

    /** The schema as the Python package publishes it. */
    private fun schema(): JsonFields {
        val file = Vectors.file("../../../tfcompress/benchmarking/bench_schema.json")
        return JsonFields.of(StrictJson.parse(file.readBytes()), "schema")
    }

    @Test
    fun `heat and battery saver mark a report`() {
        assertFalse(report().marked)
        assertFalse(report(Condition(Thermal.LIGHT, null)).marked)
        assertTrue(report(Condition(Thermal.MODERATE, false)).marked)
        assertTrue(report(Condition(null, true)).marked)
        assertEquals(Thermal.SEVERE, Thermal.of(3))
        assertNull(Thermal.of(7))
    }

    @Test
    fun `the table has one row per model and quotes what needs it`() {
        val lines = BenchCsv.write(report(device = "A \"b\", c")).trimEnd().split("\r\n")
        assertEquals(3, lines.size)
        assertEquals("model", lines[0].substringBefore(','))
        assertTrue("\"A \"\"b\"\", c\"" in lines[1])
        assertEquals(lines[0].count { it == ',' } + 1, lines[2].count { it == ',' })
    }
}
