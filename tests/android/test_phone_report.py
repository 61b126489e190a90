"""A phone's report stands beside the host's, each time under the name of its device."""

import json

import pytest

from tfcompress.android.phone_report import add_phone, load_phone_report
from tfcompress.benchmarking.bench_report import BenchReport
from tfcompress.report.report import Report
from tfcompress.tflite.artifact import Artifact


@pytest.fixture
def artifacts(net_files):
    return {"float32": Artifact(net_files[0]), "int8": Artifact(net_files[1])}


@pytest.fixture
def phone(phone_report, artifacts):
    """The phone measured the int8 file, and one that is not here."""
    result = phone_report["results"][0]
    result["sha256"], result["bytes"] = artifacts["int8"].sha256, artifacts["int8"].size
    other = {**json.loads(json.dumps(result)), "name": "stranger", "sha256": "cd" * 32}
    phone_report["results"].append(other)
    phone_report["order"].append("stranger")
    return BenchReport(phone_report)


@pytest.fixture
def host(phone):
    """A report of this machine with both files; times that no phone would have."""
    document = json.loads(phone.to_json())
    document["device"] |= {"name": "Host processor", "system": "Linux 6", "sdk": None, "machine": "x86_64"}
    document["conditions"] = {}
    results = []
    for name, time in (("float32", 7.25), ("int8", 3.5)):
        result = json.loads(json.dumps(document["results"][0]))
        result |= {"name": name, "accelerator": {"requested": "cpu", "actual": "cpu"}}
        result["latency"]["p50_us"] = time
        results.append(result)
    return BenchReport({**document, "results": results})


def test_a_report_of_a_phone_is_read(phone, tmp_path):
    phone.save(tmp_path / "phone.json")
    assert load_phone_report(tmp_path / "phone.json").document == phone.document


def test_a_report_of_another_machine_is_refused(host, tmp_path):
    host.save(tmp_path / "host.json")
    with pytest.raises(ValueError, match="host.json: was not measured on an Android device.*Host processor"):
        load_phone_report(tmp_path / "host.json")


@pytest.mark.parametrize("change", [{"schema": "tfcompress.bench/2"}, {"results": []}, {"device": {"sdk": 36}}])
def test_a_report_that_breaks_the_schema_is_refused(phone_report, tmp_path, change):
    (tmp_path / "phone.json").write_text(json.dumps(phone_report | change))
    with pytest.raises(ValueError, match="phone.json"):
        load_phone_report(tmp_path / "phone.json")
    with pytest.raises(FileNotFoundError):
        load_phone_report(tmp_path / "none.json")


def test_times_of_both_stand_under_their_own_names(phone, host, artifacts):
    report = Report("Digits")
    add_phone(report, phone, artifacts, host)
    (table,) = report.sections
    assert table.title == "On Phone 9"
    assert len(table.cells) == 1
    row = dict(zip(table.header, table.cells[0], strict=True))
    assert row["model"] == "int8"
    assert row["p50 us, phone"] == "60.0" and row["p50 us, host"] == "3.5"
    assert row["runs on, phone"] == "CPU" and row["samples, phone"] == "24" and row["top-1, phone"] == "0.8750"
    assert all(title == "model" or title.endswith((", phone", ", host")) for title in table.header)
    for said in ("Host: Host processor", "gpu was asked for, cpu was used", "not in this report: stranger", "Phone 9"):
        assert said in table.note
        assert said in report.html()
    assert "3.5" in report.text() and "60.0" in report.text()


def test_without_a_host_no_time_is_made_up(phone, artifacts):
    report = Report("Digits")
    add_phone(report, phone, artifacts)
    (table,) = report.sections
    phone["int8"]["top1"] = None
    add_phone(report, phone, artifacts)
    assert "top-1, phone" not in report.sections[1].header
    assert not any("host" in title for title in table.header) and "Host" not in table.note


def test_energy_of_a_phone_is_shown_where_it_was_measured(phone, artifacts):
    report = Report("Digits")
    phone["int8"]["energy"] = {"joules": 0.00125, "source": "battery", "reason": None}
    add_phone(report, phone, artifacts)
    (table,) = report.sections
    row = dict(zip(table.header, table.cells[0], strict=True))
    assert row["uJ (coarse), phone"] == "1,250.0" and "whole phone by the counters of its battery" in table.note
    phone["int8"]["energy"] = {"joules": None, "source": None, "reason": "the phone was charging"}
    add_phone(report, phone, artifacts)
    assert not any("uJ" in title for title in report.sections[1].header)
    assert "not available here: the phone was charging" in report.sections[1].note


def test_names_of_the_phone_are_shown_where_they_differ(phone, artifacts):
    report = Report("Digits")
    add_phone(report, phone, {"models/int8.tflite": artifacts["int8"]})
    add_phone(report, phone, {"mine": artifacts["int8"]})
    assert [section.cells[0][0] for section in report.sections] == ["models/int8.tflite", "mine (int8)"]


def test_a_phone_that_ran_other_files_is_refused(phone, artifacts):
    with pytest.raises(ValueError, match="none of these files .float32.*int8, stranger"):
        add_phone(Report("Digits"), phone, {"float32": artifacts["float32"]})
