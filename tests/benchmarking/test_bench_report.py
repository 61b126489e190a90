"""Reports: lossless JSON, one class for host and phone, and notes for what must be known."""

import json

import pytest

from tfcompress.benchmarking.bench_report import BenchReport, bench_table


def test_json_round_trip_keeps_every_key(phone_report, tmp_path):
    phone_report["later"] = [1, {"key": "值"}]
    report = BenchReport(phone_report)
    assert BenchReport.from_json(report.to_json()).document == phone_report
    report.save(tmp_path / "phone.json")
    assert BenchReport.load(tmp_path / "phone.json").document == phone_report
    assert [path.name for path in tmp_path.iterdir()] == ["phone.json"]


def test_bad_files_are_refused_by_name(phone_report, tmp_path):
    path = tmp_path / "bad.json"
    path.write_text("{")
    with pytest.raises(ValueError, match="bad.json.*not JSON"):
        BenchReport.load(path)
    del phone_report["order"]
    path.write_text(json.dumps(phone_report))
    with pytest.raises(ValueError, match="bad.json.*order"):
        BenchReport.load(path)


def test_names_are_unique(phone_report):
    phone_report["results"] *= 2
    with pytest.raises(ValueError, match="unique"):
        BenchReport(phone_report)


def test_access_by_name(phone_report):
    report = BenchReport(phone_report)
    assert list(report) == ["int8"] and len(report) == 1 and "int8" in report
    assert report["int8"]["bytes"] == 25056
    with pytest.raises(KeyError, match="int8"):
        report["float"]


def test_line_is_that_of_benchmark_model(phone_report):
    assert BenchReport(phone_report).line("int8") == (
        "Inference timings in us: Init: 4100, First inference: 210, Warmup (avg): 70, Inference (avg): 61.5"
    )


def test_table_and_notes(phone_report):
    phone_report["conditions"] |= {"thermal_after": "severe", "battery_saver_before": True}
    phone_report["results"][0]["latency"]["n"] = 20
    text = BenchReport(phone_report).text()
    assert "Phone 9, Android 16, arm64-v8a, 8 cores" in text
    for said in ("25,056", "60.0", "gpu was asked for, cpu was used (no delegate)"):
        assert said in text
    for said in (
        "hot (after: severe)",
        "Battery saver",
        "after 20 runs",
        "not available on Android",
    ):
        assert said in text
    assert "| int8 | 25,056 |" in BenchReport(phone_report).markdown()


def test_a_cool_complete_run_has_no_notes(phone_report):
    result = phone_report["results"][0]
    result["accelerator"]["requested"] = "cpu"
    result["memory"] |= {"peak_bytes": 1000, "reason": None}
    assert BenchReport(phone_report).text().endswith("128")


def test_energy_of_a_phone_is_shown_with_what_it_is(phone_report):
    host = json.loads(json.dumps(phone_report))
    phone_report["results"][0]["energy"] = {"joules": 0.00125, "source": "battery", "reason": None}
    text = BenchReport(phone_report).text()
    assert "1,250.0" in text and "uJ" in text.splitlines()[2] and "battery, which are coarse" in text
    table = bench_table([BenchReport(host), BenchReport(phone_report)], markdown=True)
    assert "uJ |" in table.splitlines()[0] and "| 1,250.0 |" in table.splitlines()[3]
    phone_report["results"][0]["energy"] = {"joules": None, "source": None, "reason": "the phone was charging"}
    text = BenchReport(phone_report).text()
    assert "not available here: the phone was charging." in text and "uJ" not in text
    phone_report["results"][0]["energy"]["source"] = "guess"
    with pytest.raises(ValueError, match=r"report.results\[0\].energy.source"):
        BenchReport(phone_report)


def test_reports_of_several_devices_stand_in_one_table(phone_report):
    other = json.loads(json.dumps(phone_report))
    other["device"]["name"] = "Phone 10"
    table = bench_table([BenchReport(phone_report), BenchReport(other)])
    lines = [line.split("  ") for line in table.split("\n\n")[0].split("\n")]
    assert lines[0][:1] == ["model"] and "device" in table
    assert "Phone 9" in table and "Phone 10: int8: gpu was asked for" in table
    assert bench_table([BenchReport(other)], markdown=True).startswith("| model | device | on |")
    with pytest.raises(ValueError, match="at least one"):
        bench_table([])


def test_no_order_to_a_terminal_is_printed(phone_report):
    phone_report["device"]["name"] = "\x1b[31mred\x1b]0;title\x07"
    phone_report["results"][0]["name"] = "int8\x1b[2J"
    phone_report["results"][0]["accelerator"]["reason"] = "\x9b31mno delegate"
    report = BenchReport(phone_report)
    for text in (report.text(), report.markdown(), bench_table([report, report]), bench_table([report], markdown=True)):
        assert not set(text) & {"\x1b", "\x07", "\x9b"}
        assert "\\u001b[31mred" in text and "int8\\u001b[2J" in text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[" * 100_000, "nested"),
        (b"\xff\xfe", "not UTF-8"),
        (b'{"schema": "tfcompress.bench/1", "schema": 2}', "stands twice"),
        (b'{"results": 1' + b"0" * 400 + b"}", "does not fit into 64 bits"),
        (b'{"results": 1e999}', "too large"),
        (b'{"results": NaN}', "no JSON number"),
    ],
)
def test_hostile_files_are_refused_by_name(tmp_path, content, message):
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"bad.json: BenchReport: .*{message}"):
        BenchReport.load(path)


def test_a_number_without_end_is_none(phone_report):
    phone_report["results"][0]["bytes"] = 10**400
    with pytest.raises(ValueError, match="bytes: must be integer"):
        BenchReport(phone_report)
    phone_report["results"][0]["bytes"] = 10**5000
    with pytest.raises(ValueError, match="an integer of 16,610 bits"):
        BenchReport(phone_report)
