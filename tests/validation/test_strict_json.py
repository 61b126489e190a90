"""Strict JSON: what it writes it reads, what two readers could take differently it refuses."""

import base64
import json
import pathlib

import pytest

from tfcompress.validation import strict_json

VECTORS = json.loads((pathlib.Path(__file__).parents[1] / "android/vectors/strict_json.json").read_text("utf-8"))


@pytest.mark.parametrize("text", VECTORS["accepted"])
def test_what_is_accepted_is_what_python_reads(text):
    assert strict_json.parse(text.encode()) == json.loads(text)


@pytest.mark.parametrize("case", VECTORS["refused"], ids=lambda case: case["why"])
def test_refused(case):
    with pytest.raises(ValueError, match="^JSON: "):
        strict_json.parse(base64.b64decode(case["base64"]))


def test_too_large_is_refused_before_it_is_read():
    with pytest.raises(ValueError, match="at most 1,048,576 bytes"):
        strict_json.parse(b"[" + b" " * strict_json.LARGEST_BYTES + b"]")


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        {"b": 1, "a": [1.5, None, True, '值\n"\\']},
        {"long": list(range(100)), "rows": [{"key": "x" * 100}, {"key": "y" * 100}], "empty": {}},
        [[["x" * 60] * 3]],
        "text",
        0.1,
    ],
)
def test_what_is_written_is_read(value):
    content = strict_json.write(value)
    assert strict_json.parse(content) == value
    assert content.endswith(b"\n") and strict_json.write(strict_json.parse(content)) == content


def test_keys_keep_their_order_and_lines_are_short():
    value = {"z": "x" * 100, "a": {"k": "y" * 100}, "list": ["z" * 50] * 2}
    lines = strict_json.write(value).decode().splitlines()
    assert [line.strip()[:4] for line in lines[1:3]] == ['"z":', '"a":']
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize("value", [float("nan"), {"a": float("inf")}, "\ud800", 2**63, [[[]]] * 1])
def test_what_would_be_refused_is_not_written(value):
    if value == [[[]]]:
        for _ in range(32):
            value = [value]
    with pytest.raises((ValueError, UnicodeEncodeError)):
        strict_json.write(value)
