"""Values that somebody may pass for an argument by mistake, and what is sense for each kind of argument."""

import decimal
import fractions
import math

import keras
import numpy as np

import tfcompress as tfc

DEEP = [[]]
for _ in range(200):
    DEEP = [DEEP]


class Broken:
    """Something whose `repr` fails."""

    def __repr__(self):
        raise RuntimeError("no repr")


class OnlyText:
    """Something that looks like a text."""

    def __str__(self):
        return "int8"


POOL = [
    None, True, False, np.True_, 0, 1, -1, 2, 3, 10**9, -(10**9), 2**63, 2**64, 10**400, -(10**400), 10**5000,
    0.0, -0.0, 0.5, 1.0, 1.5, 2.5, 80, 80.0, -0.5, 1e-320, 1e300, -1e300, math.nan, math.inf, -math.inf,
    np.float32("nan"), np.float64("inf"), np.float16(0.5), np.int8(-1), np.uint64(2**64 - 1),
    np.array(0.5), np.array([0.5, 0.5]), np.array([]), np.array("a"), np.datetime64("2026-01-01"),
    decimal.Decimal("0.5"), fractions.Fraction(1, 2), 1j, "", " ", "x", "0.5", "1", "True", "None", "int8 ",
    "INT8", "\0",
    "a\0b", "\ud800", "\x1b[31m", "*", "(", "[[a", "(?P<", "a{99999999999}",
    "(" * 500 + ")" * 500, "a" * 10**5, "w99a8", 
    "w8a99999999999999999999",
    "0:0", "4:2", "99999999999999999999:2", "0x0", b"", b"int8", bytearray(b"x"), [], [None], [1], ["x", 1], [[]],
    ["\0"],
    [("a",)], [("a", "b", "c")], [(1, 2)], (), (None,), (1, 2, 3), {}, {"a": 1}, {1: 2}, {None: None}, {"(": 0.5},
    {"a": "x"}, {"a": math.nan}, {"a": 10**400}, {"a": {}}, set(), {1}, frozenset(), range(3), iter([]), iter([1]),
    DEEP, object(), object, int, print, lambda: None, lambda layer: True, ..., NotImplemented, Broken(), OnlyText(),
    ValueError("x"), slice(1), memoryview(b"x"), keras.layers.Dense, np.sum, tfc,
]  # fmt: skip


# what is sense, by kind of argument


def is_int(v):
    return isinstance(v, int | np.integer) and not isinstance(v, bool)


def is_real(v):
    if is_int(v):
        return abs(int(v)) <= 10**38
    return isinstance(v, float | np.floating) and math.isfinite(v) and abs(v) <= 1e38


def whole(least, most):
    return lambda v: is_int(v) and least <= v <= most


def real(test=lambda v: True):
    return lambda v: is_real(v) and test(v)


def word(*words):
    return lambda v: isinstance(v, str) and v in words


def optional(sense):
    return lambda v: v is None or sense(v)


def flag(v):
    return isinstance(v, bool | np.bool_)


def text(v):
    return isinstance(v, str) and v != "" and "\0" not in v and v.isprintable() | ("\x1b" in v)


def texts(v):
    return text(v) or isinstance(v, list | tuple | set | frozenset | range) and all(map(text, v)) or is_empty(v)


def is_empty(v):
    return isinstance(v, np.ndarray) and v.size == 0 or type(v).__name__ == "list_iterator"


def pattern(v):
    return text(v) and v not in ("*", "(", "(?P<", "a{99999999999}")


def keys(v):
    if isinstance(v, list | tuple | set | frozenset | range):
        return all(pattern(each) or isinstance(each, type) for each in v)
    return pattern(v) or isinstance(v, type) or is_empty(v)


def where(v):
    selects = isinstance(v, str | type | list | tuple | set) and keys(v)
    return v is None or selects or callable(v) and not isinstance(v, type)


def overrides(value=lambda v: False):
    """Overrides by key; None leaves a layer alone."""
    return lambda v: v is None or isinstance(v, dict) and all(
        (pattern(k) or isinstance(k, type)) and (each is None or value(each)) for k, each in v.items()
    )  # fmt: skip


def function(v):
    return callable(v) and not isinstance(v, type)


def samples(v):
    """What may hold samples; it is looked at when it is read."""
    held = isinstance(v, str) or hasattr(v, "__array__") or callable(v) or hasattr(v, "__iter__")
    return not isinstance(v, type | bytes | bytearray | np.generic) and (held or isinstance(v, memoryview))


SHARE = real(lambda v: 0 <= v < 1)
CLOSED = real(lambda v: 0 <= v <= 1)
INNER = real(lambda v: 0 < v < 1)
ABOVE = real(lambda v: v > 0)
AT_LEAST_0 = real(lambda v: v >= 0)
SEED = whole(0, 2**32 - 1)
VERBOSE = lambda v: flag(v) or whole(0, 2)(v)  # noqa: E731
THREADS = whole(1, 1024)
RAMP = {
    "start": real(), "end": real(), "begin": CLOSED, "stop": CLOSED, "unit": word("fraction"),
}  # fmt: skip
SCALE_WORDS = ("auto", "channel", "tensor")


def never(v):
    return False
