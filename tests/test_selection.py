"""Laws of selections: precedence, criteria that all hold, JSON, nothing misspelt in silence."""

import json

import keras
import pytest

from tfcompress.selection import Where, matches, resolve, unmatched, where

L = keras.layers


class MyDense(L.Dense):
    """A user's layer."""


@pytest.fixture
def layers():
    made = [
        L.Conv2D(4, 3, name="conv1"),
        L.DepthwiseConv2D(3, name="conv1_dw"),
        L.Dense(10, name="head"),
        MyDense(5, name="Conv2D"),  # a name that is also a type
    ]
    shapes = [(None, 8, 8, 3), (None, 8, 8, 3), (None, 6), (None, 6)]
    for layer, shape in zip(made, shapes, strict=True):
        layer.build(shape)
    return made


def chosen(choice, layers, path="kernel"):
    return [layer.name for layer in layers if choice(layer, path)]


def test_everything_is_the_default(layers):
    assert len(chosen(Where(), layers)) == 4
    assert where(None) == Where()


@pytest.mark.parametrize(
    "key, names",
    [
        ("conv1", ["conv1"]),  # the whole name, not a part of it
        ("conv.*", ["conv1", "conv1_dw"]),
        ("Dense", ["head", "Conv2D"]),
        (L.Dense, ["head", "Conv2D"]),
        (MyDense, ["Conv2D"]),
        ("Conv2D", ["conv1", "Conv2D"]),
        (["head", "DepthwiseConv2D"], ["conv1_dw", "head"]),
        ("Layer", ["conv1", "conv1_dw", "head", "Conv2D"]),
        ("nothing", []),
    ],
)
def test_keys_match_whole_names_and_types(layers, key, names):
    assert chosen(where(key), layers) == names
    assert chosen(Where(skip=key), layers) == [x.name for x in layers if x.name not in names]
    if not isinstance(key, list):
        assert [x.name for x in layers if matches(x, key)] == names


def test_all_criteria_must_hold(layers):
    choice = Where("Dense", skip="head", condition=lambda layer: layer.units == 5)
    assert chosen(choice, layers) == ["Conv2D"]
    assert chosen(where(lambda layer: layer.name == "head"), layers) == ["head"]


def test_weights_match_the_path_or_its_last_part(layers):
    assert chosen(Where(weights="kernel"), layers, "kernel") == chosen(Where(), layers)
    assert chosen(Where(weights="kernel"), layers, "block/dw/kernel") == chosen(Where(), layers)
    assert chosen(Where(weights="block/.*"), layers, "block/dw/kernel") == chosen(Where(), layers)
    assert chosen(Where(weights="kernel"), layers, "bias") == []


def test_min_size_counts_elements(layers):
    # conv1 108, conv1_dw 27, head 60, Conv2D 30 elements
    assert chosen(Where(min_size=30), layers) == ["conv1", "head", "Conv2D"]
    assert chosen(Where(min_size=31), layers) == ["conv1", "head"]
    assert Where(min_size=100)(layers[2], "kernel", size=100)
    assert not Where(min_size=11)(layers[2], "bias")


def test_min_size_of_an_inner_weight():
    attention = L.MultiHeadAttention(2, 4)
    attention.build((None, 5, 8), (None, 5, 8))
    assert Where(min_size=64)(attention, "query/kernel")
    assert not Where(min_size=65)(attention, "query/kernel")
    with pytest.raises(ValueError, match="'qeury/kernel'.*multi_head_attention"):
        Where(min_size=1)(attention, "qeury/kernel")


def test_min_size_of_an_unbuilt_layer_is_an_error():
    with pytest.raises(ValueError, match="Build the layer first"):
        Where(min_size=1)(L.Dense(3), "kernel")


def test_name_goes_before_type_and_near_type_before_far(layers):
    conv, depthwise, head, mine = layers
    table = {"Layer": 0, "Dense": 1, "MyDense": 2, "conv1.*": 3, "conv1_dw": 4}
    assert resolve(conv, 9, table) == 3
    assert resolve(depthwise, 9, table) == 3  # of two names the first one
    assert resolve(head, 9, table) == 1
    assert resolve(mine, 9, table) == 2
    assert resolve(head, 9, {"conv.*": 1}) == 9
    assert resolve(head, 9, None) == 9
    assert resolve(head, 9, {L.Dense: None}) is None


def test_unmatched_names_misspelt_keys(layers):
    assert unmatched(layers, ["conv1", "haed", "Dens", L.Dense, "con"]) == ["haed", "Dens", "con"]


def test_json_round_trip(layers):
    choice = Where([L.Dense, "conv.*"], skip="head", weights="kernel", min_size=30)
    text = json.dumps(keras.saving.serialize_keras_object(choice))
    again = keras.saving.deserialize_keras_object(json.loads(text))
    assert again == choice
    assert chosen(again, layers) == chosen(choice, layers) == ["conv1", "Conv2D"]


def test_a_condition_can_not_go_to_json():
    with pytest.raises(ValueError, match="condition=.*can't be written to JSON.*Use layers"):
        keras.saving.serialize_keras_object(where(lambda layer: True))


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: Where("conv("), ValueError, r"layers .*regular expressions.*'conv\('"),
        (lambda: Where(weights="*"), ValueError, r"weights .*regular expressions"),
        (lambda: Where([3]), TypeError, r"layers must hold text or layer classes.*3"),
        (lambda: Where(3), TypeError, r"layers must be text, a class or a list.*3"),
        (lambda: Where(min_size=-1), ValueError, r"min_size must be >= 0.*-1"),
        (lambda: Where(min_size=0.5), TypeError, r"min_size must be an int.*0\.5"),
        (lambda: Where(condition="head"), TypeError, r"condition must be callable"),
        (lambda: where(3), TypeError, r"where must be None, a Where"),
        (lambda: resolve(L.Dense(1), 0, {"[": 1}), ValueError, r"overrides .*regular"),
    ],
)
def test_bad_input_is_named(make, error, message):
    with pytest.raises(error, match=message):
        make()
