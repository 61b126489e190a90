"""The validator: what the schema demands is demanded, and nothing is checked only in appearance."""

import copy
import pathlib
import re

import pytest

from tfcompress.benchmarking.bench_schema import bench_schema, validate


def _walk(node):
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    for child in node if isinstance(node, list) else ():
        yield from _walk(child)


def test_every_field_of_the_protocol_is_in_the_schema():
    result = bench_schema()["$defs"]["result"]["properties"]
    assert {
        "init_us",
        "first_us",
        "warmup",
        "latency",
        "cpu_us",
        "memory",
        "threads",
        "xnnpack",
    } <= set(result)
    assert set(result["accelerator"]["properties"]) == {"requested", "actual", "reason"}
    names = {"n", "mean_us", "std_us", "min_us", "max_us", "p50_us", "p90_us", "p95_us", "p99_us"}
    assert set(result["latency"]["properties"]) == names
    assert {"soc", "sdk"} <= set(bench_schema()["properties"]["device"]["properties"])


def test_required_names_are_described_and_references_lead_somewhere():
    for node in _walk(bench_schema()):
        if isinstance(node.get("required"), list):
            assert set(node["required"]) <= set(node["properties"])
        if "$ref" in node:
            assert node["$ref"].removeprefix("#/$defs/") in bench_schema()["$defs"]


def test_a_report_of_a_phone_is_accepted_with_unknown_keys(phone_report):
    phone_report["new_key"] = {"of": "a later app"}
    validate(phone_report)


# Where, what to put there, and what the message has to say.
FAULTS = [
    ("schema", "tfcompress.bench/2", "tfcompress.bench/1"),
    ("created", "yesterday", "must match"),
    ("order", [], "at least 1 items"),
    ("order", "a", "must be array"),
    ("protocol.runs", 0, "at least 1"),
    ("protocol.runs", True, "must be integer"),
    ("protocol.runs", 1.5, "must be integer"),
    ("protocol.mode", "slow", "must be one of"),
    ("device.sdk", "36", "integer or null"),
    ("conditions.thermal_after", "warm", "must be one of"),
    ("generator.name", "", "at least 1 characters"),
    ("generator.manifest_sha256", "abc", "must match"),
    ("results.0.latency.p50_us", -1.0, "at least 0"),
    ("results.0.latency.p50_us", float("nan"), "must be number"),
    ("results.0.sha256", "A" * 64, "must match"),
    ("results.0.accelerator.actual", "tpu", "must be one of"),
]


@pytest.mark.parametrize(("path", "value", "said"), FAULTS)
def test_each_kind_of_fault_is_found_and_placed(phone_report, path, value, said):
    node = phone_report
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in way:
        node = node[part]
    node[last] = value
    with pytest.raises(ValueError) as error:
        validate(phone_report)
    place = path.replace(".0", "[0]")
    assert f"report.{place}" in str(error.value) and said in str(error.value)


def test_every_required_field_is_missed(phone_report):
    def missing(document, path):
        changed = copy.deepcopy(document)
        node = changed
        for part in path[:-1]:
            node = node[part]
        del node[path[-1]]
        return changed

    schema = bench_schema()
    places = [((), schema), (("results", 0), schema["$defs"]["result"])]
    for name in ("generator", "device", "runtime", "protocol"):
        places.append(((name,), schema["properties"][name]))
    for name in ("accelerator", "warmup", "latency", "memory"):
        rule = schema["$defs"]["result"]["properties"][name]
        places.append((("results", 0, name), rule))
    for way, rule in places:
        for name in rule["required"]:
            with pytest.raises(ValueError, match=name):
                validate(missing(phone_report, (*way, name)))


def test_a_keyword_it_does_not_know_is_refused():
    with pytest.raises(NotImplementedError, match="maxLength"):
        validate("text", {"type": "string", "maxLength": 3})


def test_the_apps_tests_find_the_schema():
    """They name it by a path from the folder of shared vectors, which no import follows when files move."""
    root = pathlib.Path(__file__).parents[2]
    named = set()
    for file in (root / "android_demo").rglob("*.kt"):
        named |= set(re.findall(r'Vectors\.file\("(\.\./[^"$]*)"\)', file.read_text(encoding="utf-8")))
    assert any("bench_schema.json" in path for path in named)
    assert all((root / "tests" / "android" / "vectors" / path).exists() for path in named)
