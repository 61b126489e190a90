package org.tfcompress.demo.core.bench

/** A benchmark as a table for spreadsheets: RFC 4180, one row per model, points as decimal marks. */
object BenchCsv {
    private val HEADER = listOf(
        "model", "sha256", "bytes", "requested", "actual", "threads", "xnnpack", "init_us", "first_us", "n",
        "mean_us", "std_us", "min_us", "max_us", "p50_us", "p90_us", "p95_us", "p99_us", "copy_in_us",
        "native_heap_bytes", "energy_j", "top1", "agreement", "device", "system", "runtime", "created"
    )

    fun write(report: BenchReport): String = buildString {
        row(HEADER)
        for (result in report.run.results) row(cells(report, result))
    }

    private fun cells(report: BenchReport, result: BenchResult): List<Any?> {
        val info = result.info
        val stats = result.latency
        return listOf(
            result.name, result.plain.sha256, result.plain.bytes, info.requested.accelerator.id, info.actual.id,
            info.requested.threads, info.requested.xnnpack, info.initMicros, result.firstUs, stats.n,
            stats.meanUs, stats.stdUs, stats.minUs, stats.maxUs, stats.p50Us, stats.p90Us, stats.p95Us, stats.p99Us,
            result.copyInUs, result.nativeHeapBytes, result.energy.joules, report.scores?.top1(result.name),
            report.scores?.agreement(result.name), report.device.name, report.device.system,
            "${report.runtime.name} ${report.runtime.version}", report.created
        )
    }

    private fun StringBuilder.row(cells: List<Any?>) {
        cells.joinTo(this, ",", postfix = "\r\n") { quoted(it?.toString().orEmpty()) }
    }

    private fun quoted(text: String): String =
        if (text.any { it in ",\"\r\n" }) "\"${text.replace("\"", "\"\"")}\"" else text
}
