"""One form of error for every argument, and values in one plain form."""

import math

import numpy as np
import pytest

from tfcompress.text.printable import printable, shown
from tfcompress.validation import checks


@pytest.mark.parametrize("value", [0, 1, 0.5, np.float32(0.5), np.int8(1), np.uint64(0)])
def test_numbers_become_floats(value):
    found = checks.number("Owner", "name", value, least=0, most=1)
    assert type(found) is float and found == value


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (-0.1, r"must be in \[0, 1\)\. Received: name=-0\.1\."),
        (1, r"must be in \[0, 1\)"),
        (math.nan, "Received: name=nan"),
        (10**400, r"Received: name=10000000\.\.\. \(401 digits\)"),
        pytest.param(10**5000, "Received: name=<int>", id="huge"),
        (True, "name=True of type bool"),
        ("0.5", "name='0.5' of type str"),
        (None, "of type NoneType"),
    ],
)
def test_numbers_out_of_bounds_are_named(value, said):
    with pytest.raises(ValueError, match=said) as caught:
        checks.number("Owner", "name", value, least=0, below=1)
    assert str(caught.value).startswith("Owner: name must be ")
    assert isinstance(caught.value, TypeError) == (not checks.is_number(value))


def test_bounds_are_said_in_words():
    for bounds, said in (
        ({"least": 2}, ">= 2"),
        ({"above": 0}, "above 0"),
        ({"most": 1}, "<= 1"),
        ({"below": 1}, "below"),
    ):
        with pytest.raises(ValueError, match=f"must be {said}"):
            checks.number("Owner", "name", -5 if "least" in bounds or "above" in bounds else 5, **bounds)


@pytest.mark.parametrize("value", [2.0, True, "2", None, 1, 257, 2**64, pytest.param(10**5000, id="huge")])
def test_whole_numbers(value):
    assert checks.whole("Owner", "name", np.int64(2), 2, 256) == 2
    with pytest.raises(ValueError, match="Owner: name must be .*2..256"):
        checks.whole("Owner", "name", value, 2, 256)


def test_an_error_inside_an_argument_gets_its_name():
    with pytest.raises(TypeError, match="Owner: outer: Inner: name must be a text") as caught:
        checks.within("Owner", "outer", lambda: checks.text("Inner", "name", 5))
    assert isinstance(caught.value, ValueError)


def test_the_received_value_is_short_and_harmless():
    class Broken:
        def __repr__(self):
            raise RuntimeError

    assert shown(Broken()) == "<Broken>"
    assert len(shown("x" * 10**6)) <= 100
    assert shown("\x1b[31m\u202e") == r"'\x1b[31m\u202e'"
    assert printable("a\tb\nc\x9b\r") == "a\tb\nc\\u009b\\u000d"
