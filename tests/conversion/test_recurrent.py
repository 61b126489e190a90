"""Recurrent layers become integer loops whose size does not depend on the number of steps."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfcompress as tfc
from tfcompress.evaluate.macs import macs
from tfcompress.export.export import export_model, run_converter
from tfcompress.export.post_training import channels, quantized_state
from tfcompress.export.simulate import observe, simulate
from tfcompress.graph.random_ops import Draws
from tfcompress.tflite.artifact import Artifact
from tfcompress.tflite.loops.grids import check_variables

L = keras.layers
UNITS, FEATURES = 6, 5


def _around(layer):
    return lambda x: L.Dense(3)(layer()(x))


def _both(**options):
    return L.Bidirectional(L.LSTM(UNITS, return_sequences=True), **options)


def _encoder_and_decoder(x):
    _, h, c = L.LSTM(UNITS, return_state=True)(x)
    return L.LSTM(UNITS, return_sequences=True)(x, initial_state=[h, c])


NETS = {
    "LSTM": _around(lambda: L.LSTM(UNITS)),
    "GRU": _around(lambda: L.GRU(UNITS)),
    "GRU, reset before": _around(lambda: L.GRU(UNITS, reset_after=False, bias_initializer="uniform")),
    "SimpleRNN": _around(lambda: L.SimpleRNN(UNITS, return_sequences=True)),
    "relu": _around(
        lambda: L.SimpleRNN(UNITS, activation="relu", recurrent_initializer=keras.initializers.Identity(0.5))
    ),
    "backwards": lambda x: L.GRU(UNITS, return_sequences=True, go_backwards=True)(x),
    "both directions": _around(lambda: L.Bidirectional(L.LSTM(UNITS))),
    "both, sequences": _around(_both),
    "both, summed": lambda x: _both(merge_mode="sum")(x),
    "both, SimpleRNN": _around(lambda: L.Bidirectional(L.SimpleRNN(UNITS))),
    "states": lambda x: list(L.LSTM(UNITS, return_state=True)(x)),
    "initial states": _encoder_and_decoder,
    "stacked": lambda x: L.GRU(4)(L.Dense(6, "relu")(L.LSTM(UNITS, return_sequences=True)(x))),
    "other layers": lambda x: L.GlobalAveragePooling1D()(
        L.LSTM(4, return_sequences=True)(L.Conv1D(4, 3, padding="same")(x))
    ),
}
FAST = ("LSTM", "both, sequences")


def _net(name, steps=6):
    keras.utils.set_random_seed(3)
    x = keras.Input((steps, FEATURES), name="x")
    return keras.Model(x, NETS[name](x))


def _words(steps=6):
    """A net that masks padded words, and its samples."""
    keras.utils.set_random_seed(3)
    words = keras.Input((steps,), dtype="int32", name="x")
    y = L.Bidirectional(L.LSTM(4))(
        L.LSTM(4, return_sequences=True)(
            L.Embedding(20, 6, keras.initializers.RandomNormal(stddev=1.0), mask_zero=True)(words)
        )
    )
    rng = np.random.default_rng(0)
    x = rng.integers(1, 20, size=(48, steps)).astype("int32")
    x[np.arange(steps)[None] >= rng.integers(1, steps + 1, size=(48, 1))] = 0
    return keras.Model(words, L.Dense(2)(y)), x


def _samples(steps=6, count=48):
    return np.random.default_rng(0).normal(size=(count, steps, FEATURES)).astype("float32")


def _looped(model, x, **options):
    return tfc.convert(model, calibration=x, recurrent="loop", diagnose=False, **options)


def _names(artifact):
    return [row["op"] for row in artifact.ops_table()]


def _answers(artifact, x):
    got = artifact.predict(x)
    return list(got.values()) if isinstance(got, dict) else [got]


def _check_near(artifact, model, x, most=4.0):
    """The file errs by a few codes of each output, measured from the float model."""
    wanted = keras.tree.flatten(model.predict(x, verbose=0))
    for spec, a, b in zip(artifact.outputs, _answers(artifact, x), wanted, strict=True):
        assert np.abs(a - b).mean() < most * spec.scale


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in FAST else pytest.mark.slow) for n in NETS])
def test_a_recurrent_layer_is_an_integer_loop(name):
    model, x = _net(name), _samples()
    artifact = _looped(model, x)
    assert artifact.is_integer
    assert "WHILE" in _names(artifact)
    _check_near(artifact, model, x)
    for first, second in zip(_answers(artifact, x), _answers(artifact, x), strict=True):  # it remembers nothing
        np.testing.assert_array_equal(first, second)


@pytest.mark.slow
def test_masked_steps_change_no_state():
    model, x = _words()
    artifact = _looped(model, x)
    assert artifact.is_integer and _names(artifact).count("WHILE") == 3
    _check_near(artifact, model, x)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [L.LSTM, L.GRU])
def test_size_does_not_depend_on_the_number_of_steps(kind):
    made = []
    for steps in (6, 40):
        x = keras.Input((steps, FEATURES), name="x")
        model = keras.Model(x, L.Dense(3)(kind(UNITS)(x)))
        made.append(_looped(model, _samples(steps)))
    assert _names(made[0]) == _names(made[1])
    assert abs(made[0].size - made[1].size) < 64
    weights = sum(np.prod(v.shape) for v in model.weights)
    assert made[1].size <= weights + 8192


def _file(model, state, loops):
    def setup(converter):
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.inference_input_type = converter.inference_output_type = tf.int8

    return Artifact(run_converter(export_model(model, state, Draws.of("int8", ()), loops), setup))


@pytest.mark.parametrize("name", ["LSTM", pytest.param("GRU", marks=pytest.mark.slow)])
def test_loop_unrolled_file_and_simulation_give_the_same_codes(name):
    model, x = _net(name), _samples()
    state = quantized_state(model, lambda op: False, channels)
    observe(model, state, [{"x": row[None]} for row in x])
    loop, unrolled = (_file(model, state, loops) for loops in (frozenset({id(model.layers[1])}), frozenset()))
    check_variables(loop.model)
    assert "WHILE" in _names(loop) and "WHILE" not in _names(unrolled)
    for xnnpack in (True, False):
        np.testing.assert_array_equal(loop.predict(x, xnnpack=xnnpack), unrolled.predict(x, xnnpack=xnnpack))
    step = loop.outputs[0].scale
    np.testing.assert_allclose(loop.predict(x), simulate(model, state, x), atol=0.5 * step)


@pytest.mark.slow
def test_every_inner_value_has_one_range_that_training_sets():
    model, x = _net("LSTM"), _samples()
    model.compile("adam", "mse")
    model.fit(x, np.zeros((48, 3)), epochs=2, verbose=0, callbacks=[tfc.Compression([tfc.Quantize("int8")])])
    artifact = tfc.convert(model, calibration=x)
    assert _names(artifact).count("WHILE") == 1
    assert artifact.metadata["parity"][0]["equal"] > 0.95  # a tie of a sum that falls the other way travels
    _check_near(artifact, model, x, most=8.0)


def test_macs_of_all_rounds_and_layers_inside_are_known():
    model, x = _net("LSTM"), _samples()
    artifact = _looped(model, x)
    assert macs(artifact) == macs(model)
    assert {row["layer"] for row in artifact.ops_table() if row["subgraph"]} == {model.layers[1].name}


def test_what_cannot_be_a_loop_is_refused_before_any_work():
    x = keras.Input((6, FEATURES))
    model = keras.Model(x, L.LSTM(3, activation="elu", name="bent")(x))
    with pytest.raises(ValueError, match="'bent'.*recurrent='auto'"):
        tfc.convert(model, calibration=_samples(), recurrent="loop")
    with pytest.raises(ValueError, match="mode 'int8'.*'float32'"):
        tfc.convert(_net("LSTM"), mode="float32", recurrent="loop")
    with pytest.raises(ValueError, match="recurrent must be"):
        tfc.convert(_net("LSTM"), calibration=_samples(), recurrent="rolled")


def test_a_loop_of_two_steps_is_unrolled_unless_it_was_asked_for():
    model, x = _net("SimpleRNN", steps=2), _samples(steps=2)
    artifact = tfc.convert(model, calibration=x, diagnose=False)
    assert "WHILE" not in _names(artifact)
    assert any("so few steps" in note for note in artifact.metadata["notes"])
    assert "WHILE" in _names(_looped(model, x))
