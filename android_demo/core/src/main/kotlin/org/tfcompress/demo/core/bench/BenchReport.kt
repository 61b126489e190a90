package org.tfcompress.demo.core.bench

import org.tfcompress.demo.core.engine.RuntimeInfo
import org.tfcompress.demo.core.json.JsonObject
import org.tfcompress.demo.core.json.JsonText
import org.tfcompress.demo.core.json.jsonObject
import org.tfcompress.demo.core.run.SampleScores

/** A benchmark and all that is needed to compare it; JSON of schema `tfcompress.bench/1`. */
class BenchReport(
    /** UTC, ISO 8601 with seconds: `2026-05-04T03:02:01Z`. */
    val created: String,
    val generator: Generator,
    val device: Device,
    val runtime: RuntimeInfo,
    val before: Condition,
    val after: Condition,
    val run: BenchRun,
    val samples: Int,
    val scores: SampleScores?
) {
    /** Whether the phone was hot or saved battery, so that the figures are not those of normal use. */
    val marked: Boolean get() = listOf(before, after).any { it.hot || it.batterySaver == true }

    /** Whether the battery told the energy of a model. */
    val hasEnergy: Boolean get() = run.results.any { it.energy.joules != null }

    fun toJson(): String = JsonText.write(
        jsonObject(
            "schema" to "tfcompress.bench/1",
            "created" to created,
            "generator" to generator.json(),
            "device" to device.json(),
            "runtime" to runtime.json(),
            "protocol" to protocol(),
            "order" to run.order,
            "conditions" to mapOf(
                "thermal_before" to before.thermal?.id,
                "thermal_after" to after.thermal?.id,
                "battery_saver_before" to before.batterySaver,
                "battery_saver_after" to after.batterySaver
            ),
            "results" to run.results.map(::result)
        )
    )

    private fun protocol(): JsonObject = jsonObject(
        "mode" to run.protocol.mode.id,
        "runs" to run.protocol.mode.runs,
        "min_seconds" to run.protocol.mode.minSeconds,
        "max_seconds" to run.protocol.maxSeconds,
        "warmup_runs" to run.protocol.warmupRuns,
        "warmup_seconds" to run.protocol.warmupSeconds,
        "blocks" to run.protocol.blocks,
        "pause_seconds" to run.protocol.pauseSeconds,
        "input" to "golden",
        "seed" to null
    )

    private fun result(result: BenchResult): JsonObject = jsonObject(
        "name" to result.name,
        "sha256" to result.plain.sha256,
        "bytes" to result.plain.bytes,
        "accelerator" to mapOf(
            "requested" to result.info.requested.accelerator.id,
            "actual" to result.info.actual.id,
            "reason" to result.info.reason
        ),
        "threads" to result.info.requested.threads,
        "xnnpack" to result.info.requested.xnnpack,
        "init_us" to result.info.initMicros,
        "first_us" to result.firstUs,
        "warmup" to mapOf("n" to result.warmupRuns, "mean_us" to result.warmupMeanUs),
        "latency" to latency(result.latency),
        "copy_in_us" to result.copyInUs,
        "energy" to mapOf(
            "joules" to result.energy.joules,
            "source" to if (result.energy.joules == null) null else "battery",
            "reason" to result.energy.reason
        ),
        "memory" to mapOf(
            "peak_bytes" to null,
            "native_heap_bytes" to result.nativeHeapBytes,
            "reason" to "a phone does not tell the peak of one model"
        ),
        "top1" to scores?.top1(result.name),
        "agreement" to scores?.agreement(result.name),
        "samples" to if (scores == null) null else samples
    )

    private fun latency(stats: LatencyStats) = jsonObject(
        "n" to stats.n,
        "mean_us" to stats.meanUs,
        "std_us" to stats.stdUs,
        "min_us" to stats.minUs,
        "max_us" to stats.maxUs,
        "p50_us" to stats.p50Us,
        "p90_us" to stats.p90Us,
        "p95_us" to stats.p95Us,
        "p99_us" to stats.p99Us
    )
}
