"""The page of supported layers has every row of the layer table, and what it says of activations is so."""

import importlib.util
import pathlib
import types

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.layer_table import registry
from tfcompress.layer_table.lookup import rows

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"


def _hook():
    path = DOCS / "hooks" / "supported_layers.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


HOOK = _hook()
TABLES = HOOK.tables()


def section(title):
    """Cells of each row of a table of the page by its first cell."""
    part = TABLES.split(f"## {title}\n")[1].split("\n## ")[0]
    lines = [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("| ")]
    return {line[0]: line[1:] for line in lines[1:]}


def test_the_page_asks_for_the_tables():
    page = types.SimpleNamespace(file=types.SimpleNamespace(src_uri=HOOK.PAGE))
    text = (DOCS / HOOK.PAGE).read_text(encoding="utf-8")
    assert HOOK.PLACE in text
    assert HOOK.on_page_markdown(text, page=page) == text.replace(HOOK.PLACE, TABLES)


def test_every_layer_type_is_on_it():
    shown = {*section("Layers with weights to compress"), *section("Layers without")}
    types_of_keras = [kind for kind in rows() if kind.__module__.startswith("keras.")]
    assert len(types_of_keras) > 70
    assert [kind for kind in types_of_keras if f"`{HOOK.name(kind)}`" not in shown] == []


def test_every_operation_is_on_it():
    shown = section("Functions and operators")
    assert [kind for kind in registry._operations if HOOK.operation(kind) not in shown] == []


@pytest.mark.parametrize(
    ("layer", "weights", "channels", "form"),
    [
        ("Conv2D", "`kernel`", "cut", "integer"),
        ("Conv3D", "`kernel`", "cut", "**float**: `CONV_3D`"),
        ("TimeDistributed", "`layer/kernel`", "read", "integer"),
        ("Bidirectional", None, "cut", "integer, in a loop or unrolled over time"),
        ("BatchNormalization", "-", "read", "part of the kernel before it"),
        ("LayerNormalization", "-", "whole", "integer, rewritten"),
        ("StringLookup", "-", "-", "**no file can hold it**"),
    ],
)
def test_what_a_row_says(layer, weights, channels, form):
    shown = {**section("Layers with weights to compress"), **section("Layers without")}[f"`{layer}`"]
    assert shown[1:] == [channels, form]
    assert weights is None or shown[0] == weights


@pytest.mark.sampled(8)
@pytest.mark.e2e
@pytest.mark.needs_tensorflow("2.20", rows=["softsign"])  # before, divisions stay float
@pytest.mark.needs_tensorflow("2.21", rows=["squareplus"])  # and square roots
@pytest.mark.parametrize("activation", [name.strip("`") for name in section("Activation functions")])
def test_an_activation_that_is_said_to_be_integer_is(activation):
    shown = section("Activation functions")[f"`{activation}`"]
    assert "integer" in shown[1] or shown[1] == "part of the operation before it"
    x = np.random.default_rng(0).normal(size=(128, 8)).astype("float32")
    layers = [keras.layers.Dense(6, activation=activation), keras.layers.Dense(3)]
    model = keras.Sequential([keras.Input((8,)), *layers])
    assert tfc.convert(model, calibration=x, diagnose=False).is_integer
