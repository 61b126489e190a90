"""Stored values come back as they were; nothing else is made of them."""

import json

import keras
import pytest

import tfcompress as tfc
from tfcompress.schedules.tfmot import Gated
from tfcompress.validation.restoring import restored

S = tfc.schedules


@pytest.mark.parametrize(
    "value",
    [
        [1, ["a", None], 0.5, [True]],
        {"a": tfc.Where("b", min_size=3), "c": None},
        Gated(S.polynomial(0.0, 0.5, 0, 100, unit="steps"), 5, 50, 10),
        S.steps({0.1: 0.2, 0.5: 0.3}),
        tfc.QuantSpec(4, None),
        tfc.Prune(0.5, where="a", overrides={"b": S.cosine(0.0, 0.5)}),
    ],
)
def test_what_was_stored_comes_back(value):
    assert restored(json.loads(json.dumps(keras.saving.serialize_keras_object(value)))) == value


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"class_name": "Dense", "config": {}, "module": "keras.layers", "registered_name": None}, "no registered"),
        ({"class_name": "__tuple__", "config": 5}, "a tuple must hold a list"),
        ({"class_name": "Where", "config": 5, "registered_name": "tfcompress>Where"}, "config must be an object"),
        ({"class_name": "W", "config": {"x": 1}, "registered_name": "tfcompress>Where"}, r"no fields \['x'\]"),
        ({"class_name": "C", "config": {}, "registered_name": "tfcompress>Constant"}, "level must be given"),
    ],
)
def test_what_is_no_stored_value_is_refused(value, said):
    with pytest.raises(ValueError, match=said):
        restored(value)


def test_depth_is_bounded():
    value = []
    for _ in range(100):
        value = [value]
    with pytest.raises(ValueError, match="nested"):
        restored(value)


def test_a_tuple_comes_back():
    assert restored({"class_name": "__tuple__", "config": {"value": [1, [2]]}}) == (1, [2])
