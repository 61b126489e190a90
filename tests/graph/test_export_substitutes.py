"""Functions of Keras in another form: the file answers what the model answers."""

import keras
import numpy as np
import pytest

import tfcompress as tfc

L, ops = keras.layers, keras.ops
RNG = np.random.default_rng(0)
FLOATS = RNG.random((64, 12), "float32")
TOKENS = RNG.integers(1, 50, (64, 12)).astype("int32")
TOKENS[:32, 8:] = 0


def chain(data, *layers):
    x = i = keras.Input(data.shape[1:], dtype=data.dtype.name)
    for layer in layers:
        x = layer(x)
    return keras.Model(i, x)


MASKED = (L.Embedding(50, 8, mask_zero=True), L.GlobalAveragePooling1D(), L.Dense(3))
NETS = {
    "mask": (lambda: chain(TOKENS, *(type(k).from_config(k.get_config()) for k in MASKED)), TOKENS),
    "multi_hot": (lambda: chain(TOKENS, L.CategoryEncoding(50, "multi_hot"), L.Dense(3)), TOKENS),
    "category": (lambda: chain(TOKENS[:, :1], L.CategoryEncoding(50, "one_hot"), L.Dense(3)), TOKENS[:, :1]),
    "count": (lambda: chain(TOKENS, L.CategoryEncoding(50, "count"), L.Dense(3)), TOKENS),
    "one_hot": (lambda: chain(FLOATS, L.Dense(5), L.Lambda(_chosen), L.Dense(2)), FLOATS),
}


def _chosen(x):
    return ops.one_hot(ops.argmax(x, axis=-1), 5)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize(("mode", "error"), [("float32", 1e-5), ("int8", 0.03)])
def test_truth_values_and_categories_become_integers(name, mode, error):
    make, x = NETS[name]
    model = make()
    wanted = model.predict(x, verbose=0)
    artifact = tfc.convert(model, mode, calibration=x)
    assert mode != "int8" or artifact.is_integer
    assert np.sqrt(np.mean((artifact.predict(x) - wanted) ** 2)) <= error * wanted.std()


@pytest.mark.parametrize("function", [ops.argmax, ops.argmin])
@pytest.mark.parametrize("options", [{"axis": -1}, {"axis": 1, "keepdims": True}])
@pytest.mark.parametrize("mode", ["float32", "int8"])
def test_indices_of_extremes(function, options, mode):
    x = np.random.default_rng(1).permutation(np.arange(64 * 6)).reshape(64, 2, 3).astype("float32") / 400
    model = chain(x, L.Lambda(lambda t: function(t, **options)))
    artifact = tfc.convert(model, mode, calibration=x)
    wanted = model.predict(x, verbose=0)
    got = artifact.predict(x)
    # codes tie where values lie within one step
    assert got.shape == wanted.shape and np.mean(got == wanted) >= (1.0 if mode == "float32" else 0.95)


@pytest.mark.parametrize("compare", [lambda x: x > 0.5, lambda x: ops.equal(x, x)])
def test_comparisons_as_outputs(compare):
    model = chain(FLOATS, L.Lambda(compare))
    artifact = tfc.convert(model, calibration=FLOATS)
    assert artifact.is_integer and artifact.outputs[0].dtype == "bool"
    assert np.mean(artifact.predict(FLOATS) == model.predict(FLOATS, verbose=0)) > 0.98


@pytest.mark.needs_keras("3.12")  # before, a model cuts its input down to integers in front of Discretization
def test_discretization_counts_in_integers():
    model = chain(FLOATS, L.Discretization(bin_boundaries=[0.2, 0.5, 0.7]))
    artifact = tfc.convert(model, calibration=FLOATS)
    assert artifact.is_integer
    assert np.mean(artifact.predict(FLOATS) == model.predict(FLOATS, verbose=0)) > 0.97


@pytest.mark.parametrize("mode", ["int8", "float32"])
def test_a_sum_of_sequences_with_one_channel_is_no_bias(mode):
    x = np.random.default_rng(0).normal(size=(32, 12, 1)).astype("float32")
    i = keras.Input((12, 1))
    model = keras.Model(i, keras.layers.Conv1D(4, 1)(keras.layers.Add()([keras.layers.Activation("tanh")(i), i])))
    artifact = tfc.convert(model, mode, calibration=x if mode == "int8" else None)
    plain = model.predict(x, verbose=0)
    assert np.sqrt(np.mean((artifact.predict(x) - plain) ** 2)) < 0.03 * plain.std()
