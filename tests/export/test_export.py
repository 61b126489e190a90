"""Inputs and outputs of a file stand in the model's order, for readers by number and for readers by name."""

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

import tfcompress as tfc
from tfcompress.export import export
from tfcompress.graph.random_ops import Draws

pytestmark = pytest.mark.e2e

RNG = np.random.default_rng(0)


def by_number(artifact, arrays):
    """What the stock interpreter answers to a reader that knows positions only, sample by sample."""
    interpreter = Interpreter(model_content=artifact.content)
    interpreter.allocate_tensors()
    rows = []
    for k in range(len(arrays[0])):
        for detail, array in zip(interpreter.get_input_details(), arrays, strict=True):
            interpreter.set_tensor(detail["index"], array[k : k + 1])
        interpreter.invoke()
        rows.append([interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()])
    return [np.concatenate(parts) for parts in zip(*rows, strict=True)]


def siamese(lib, names, second_first):
    """A shared encoder on two inputs, and a head each; TensorFlow's converter sorts their inputs by name."""
    lib.utils.set_random_seed(0)
    layers = lib.layers
    first, second = (lib.Input((6,), name=n) for n in names)
    encoder = layers.Dense(8, activation="relu")
    made = {k: encoder(x) for k, x in ((1, second), (0, first))} if second_first else None
    made = made or {0: encoder(first), 1: encoder(second)}
    joined = layers.Subtract()([made[0], made[1]])
    outputs = [layers.Dense(3, name="zebra")(joined), layers.Dense(2, name="ape")(made[1])]
    return lib.Model([first, second], outputs)


@pytest.mark.sampled(5)
@pytest.mark.parametrize("names", [("a", "b"), ("b", "a"), ("input_9", "input_10")])
@pytest.mark.parametrize("second_first", [False, True])
@pytest.mark.parametrize("exporter", ["keras", pytest.param("tf_keras", marks=pytest.mark.legacy)])
def test_two_inputs_and_two_outputs(exporter, names, second_first):
    model = siamese(pytest.importorskip(exporter), names, second_first)
    x = [k * RNG.random((32, 6), np.float32) for k in (1, 3)]
    wanted = [np.asarray(y) for y in model.predict(x, verbose=0)]
    artifact = tfc.convert(model, calibration=x)
    assert [s.name for s in artifact.inputs] == list(names)
    assert [s.shape for s in artifact.outputs] == [(1, 3), (1, 2)]
    codes = [spec.quantize(array) for spec, array in zip(artifact.inputs, x, strict=True)]
    numbered = [s.dequantize(c) for s, c in zip(artifact.outputs, by_number(artifact, codes), strict=True)]
    for given in (x, dict(zip(names, x, strict=True))):
        for found, plain, right in zip(artifact.predict(given).values(), numbered, wanted, strict=True):
            assert np.abs(found - right).max() < 0.05 * np.ptp(right)
            np.testing.assert_array_equal(found, plain)


def test_a_large_model_goes_by_a_saved_model_and_keeps_its_order(monkeypatch):
    model = siamese(keras, ("b", "a"), True)
    x = [k * RNG.random((32, 6), np.float32) for k in (1, 3)]
    plain = tfc.convert(model, calibration=x, mode="int16x8")
    monkeypatch.setattr(export, "LARGE_MODEL", 0)
    large = tfc.convert(model, calibration=x, mode="int16x8")
    assert export.export_model(model, None, Draws()).module is not None
    assert [(s.name, s.shape, s.scale) for s in large.inputs] == [(s.name, s.shape, s.scale) for s in plain.inputs]
    for name, value in large.predict(x).items():
        np.testing.assert_array_equal(value, plain.predict(x)[name])


def test_names_of_nested_outputs_are_their_paths():
    inputs = {"right": keras.Input((4,), name="right"), "left": keras.Input((3,), name="left")}
    heads = [keras.layers.Dense(k)(inputs["right"]) for k in (2, 5)]
    outputs = {"z": keras.layers.Dense(1)(inputs["left"]), "heads": {"small": heads[0], "both": heads}}
    model = keras.Model(inputs, outputs)
    x = {"left": RNG.random((20, 3), np.float32), "right": RNG.random((20, 4), np.float32)}
    artifact = tfc.convert(model, "float32")
    assert [s.name for s in artifact.inputs] == [s.name for s in model.inputs] == ["left", "right"]
    wanted = model.predict(x, verbose=0)
    flat = {
        "heads/both/0": wanted["heads"]["both"][0],
        "heads/both/1": wanted["heads"]["both"][1],
        "heads/small": wanted["heads"]["small"],
        "z": wanted["z"],
    }
    assert [s.name for s in artifact.outputs] == list(flat)
    for given in (x, [x["left"], x["right"]]):
        for name, value in artifact.predict(given).items():
            np.testing.assert_allclose(value, flat[name], atol=1e-5)


def test_outputs_with_equal_names_are_numbered():
    inputs, head = keras.Input((4,), name="x"), keras.layers.Dense(2, name="head")
    model = keras.Model(inputs, [head(inputs), head(keras.layers.Rescaling(2.0)(inputs)), head(inputs)])
    x = RNG.random((20, 4), np.float32)
    artifact = tfc.convert(model, calibration=x)
    assert [s.name for s in artifact.outputs] == ["output_0", "output_1", "output_2"]
    for found, wanted in zip(artifact.predict(x).values(), model.predict(x, verbose=0), strict=True):
        assert np.abs(found - wanted).max() < 0.05 * np.ptp(wanted)


def test_an_output_may_be_an_input_or_stand_twice():
    inputs = [keras.Input((4,), name="second"), keras.Input((4,), name="first")]
    total = keras.layers.Add()(inputs)
    model = keras.Model(inputs, [inputs[0], total, total])
    x = [RNG.random((20, 4), np.float32), 5 * RNG.random((20, 4), np.float32)]
    artifact = tfc.convert(model, "float32")
    for found, wanted in zip(artifact.predict(x).values(), model.predict(x, verbose=0), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.mark.slow
def test_files_without_an_order_still_load(tiny_files):
    artifact = tfc.Artifact(tiny_files["two_int8"])
    assert {s.name for s in artifact.inputs} == {"left", "right"}


@pytest.mark.e2e
@pytest.mark.parametrize("mode", ["float32", "float16", "int16x8"])
def test_operations_that_litert_lacks_are_written_in_others_in_every_mode(mode):
    L = keras.layers
    x = np.random.default_rng(0).random((12, 6, 8, 8, 1)).astype("float32")
    i = keras.Input((6, 8, 8, 1))
    h = L.MaxPooling3D()(keras.ops.square(keras.ops.negative(i)))
    model = keras.Model(i, L.Dense(3)(L.Flatten()(h)))
    artifact = tfc.convert(model, mode, calibration=x)
    assert artifact.fidelity.error < {"float32": 1e-5, "float16": 2e-3, "int16x8": 0.06}[mode]  # of 8-bit weights


def test_whole_numbers_have_no_16_bit_file():
    model = keras.Sequential([keras.Input((5,), dtype="int32"), keras.layers.Embedding(9, 4), keras.layers.Flatten()])
    with pytest.raises(tfc.NotConvertible, match="takes float inputs only.*int32.*mode='int8'"):
        tfc.convert(model, "int16x8", calibration=np.ones((12, 5), "int32") * np.arange(12)[:, None] % 9)
