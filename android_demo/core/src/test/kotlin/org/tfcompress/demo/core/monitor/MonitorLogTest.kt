package org.tfcompress.demo.core.monitor

import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.tfcompress.demo.core.TestFolder
import org.tfcompress.demo.core.Vectors
import org.tfcompress.demo.core.bench.Device
import org.tfcompress.demo.core.bench.Generator
import org.tfcompress.demo.core.doubles
import org.tfcompress.demo.core.engine.RuntimeInfo
import org.tfcompress.demo.core.engine.RuntimeVersion
import org.tfcompress.demo.core.json.JsonFields
import org.tfcompress.demo.core.json.StrictJson
import org.tfcompress.demo.core.run.Prediction

class MonitorLogTest {
    private val manifest = TestFolder().manifest()
    private val sha = "ef".repeat(32)
    private val entry = manifest.models[0]
    private val secret = manifest.model("secret")!!
    private val origin = MonitorOrigin(
        Generator("0.1.0", sha),
        Device("Phone", "chip", "Android 16", 36, "arm64-v8a", 8),
        RuntimeInfo("litert", RuntimeVersion(2, 3, 0))
    )

    private fun filled() = MonitorLog(manifest).apply {
        record("2026-05-04", entry, Prediction(doubleArrayOf(0.95, 0.05, 0.0)), 12.0)
        record("2026-05-04", entry, Prediction(doubleArrayOf(0.3, 0.4, 0.3)), 100.0)
        record("2026-05-03", secret, Prediction(doubleArrayOf(0.0, 0.0, 1.0)), 3.0)
        recordFailure("2026-05-04", entry)
    }

    private fun text(log: MonitorLog) = log.toJson("2026-05-04T03:02:01Z", origin)

    @Test
    fun `the export has the agreed form`() {
        val fields = JsonFields.of(StrictJson.parse(text(filled())), "log")
        assertEquals("tfcompress.monitor/1", fields.string("schema"))
        assertEquals(sha, fields.fields("generator").string("manifest_sha256"))
        assertArrayEquals(doubleArrayOf(0.0, 0.5, 0.9, 1.0), fields.doubles("confidence_edges"))
        val days = fields.list("days")
        assertEquals(listOf("2026-05-03", "2026-05-04"), days.map { it.string("day") })
        val variant = days[1].list("variants").single()
        assertEquals(2, variant.int("count"))
        assertEquals(1, variant.int("failures"))
        assertEquals(listOf(1, 1, 0), variant.ints("classes"))
        assertEquals(listOf(1, 0, 1), variant.ints("confidence"))
        assertEquals(listOf(0, 1, 1), variant.ints("latency_us"))
        val encrypted = days[0].list("variants").single()
        assertEquals(secret.encryption!!.plain.sha256, encrypted.string("sha256"))
        assertEquals(listOf(0, 0, 1), encrypted.ints("confidence"))
    }

    @Test
    fun `a log goes on after the app was closed`() {
        val back = MonitorLog.restore(text(filled()), manifest, sha)!!
        assertEquals(text(filled()), text(back))
        back.record("2026-05-05", entry, Prediction(doubleArrayOf(1.0, 0.0, 0.0)), 1.0)
        assertEquals(4, back.count)
        assertArrayEquals(longArrayOf(1, 0, 3), back.confidence)
        back.clear()
        assertEquals(0, back.count)
    }

    @Test
    fun `a damaged log or one of other models is not taken up`() {
        val good = text(filled())
        assertNull(MonitorLog.restore(good, manifest, "00".repeat(32)))
        val damages = listOf(
            "" to "x", "tfcompress.monitor/1" to "tfcompress.monitor/2", "\"count\": 2" to "\"count\": 3",
            "2026-05-04\"" to "today\"", "\"float\"" to "\"other\"", "\"failures\": 1" to "\"failures\": -1",
            "\"classes\": [\n            1," to "\"classes\": ["
        )
        for ((from, to) in damages) {
            assertTrue(from in good, from)
            assertNull(MonitorLog.restore(good.replace(from, to), manifest, sha), from)
        }
    }

    @Test
    fun `old days are dropped`() {
        val log = MonitorLog(manifest, keepDays = 3)
        for (day in 1..9) log.record("2026-05-0$day", entry, Prediction(doubleArrayOf(1.0, 0.0, 0.0)), 1.0)
        assertEquals(3, log.count)
        assertTrue("2026-05-07" in text(log) && "2026-05-06" !in text(log))
    }

    @Test
    fun `a day is written as agreed`() {
        assertThrows(IllegalArgumentException::class.java) { filled().recordFailure("4.5.2026", entry) }
    }

    @Test
    fun `bins are Python's`() {
        val vectors = Vectors.read("histogram")
        val confidence = vectors.fields("confidence")
        val closed = Histogram(vectors.doubles("confidence_edges").toList(), open = false)
        assertEquals(confidence.ints("counts"), closed.count(confidence.doubles("values")).map { it.toInt() })
        val latency = vectors.fields("latency_us")
        val open = Histogram(vectors.doubles("latency_edges_us").toList(), open = true)
        assertEquals(latency.ints("counts"), open.count(latency.doubles("values")).map { it.toInt() })
    }

    @Test
    fun `what lies outside has no bin`() {
        val closed = Histogram(listOf(0.0, 0.5, 1.0), open = false)
        assertEquals(listOf(null, 0, 1, 1, null, null), listOf(-0.1, 0.0, 0.5, 1.0, 1.1, Double.NaN).map(closed::bin))
        assertEquals(2, Histogram(listOf(0.0, 0.5, 1.0), open = true).bin(1e9))
        assertThrows(IllegalArgumentException::class.java) { closed.count(doubleArrayOf(2.0)) }
        assertThrows(IllegalArgumentException::class.java) { Histogram(listOf(1.0, 1.0), open = true) }
    }
}
