"""The plan is known before training and complete; refusals name the way out."""

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.techniques.base import Technique

L = keras.layers


def net():
    """A layer of each fate: convolution, folded normalization, frozen, left out, too small."""
    inputs = keras.Input((8, 8, 1))
    x = L.Conv2D(4, 3, name="conv")(inputs)
    x = L.BatchNormalization(name="norm")(x)
    x = L.ReLU(name="relu")(x)
    x = L.Flatten(name="flat")(x)
    x = L.Dense(8, activation="relu", name="still", trainable=False)(x)
    x = L.Dense(8, activation="relu", name="wide")(x)
    return keras.Model(inputs, L.Dense(3, name="head")(x))


def rows(compression):
    """Rows by layer and weight."""
    return {(r.layer, r.weight): (r.action, r.is_treated) for r in compression.plan.rows}


def test_rows_and_reasons_before_training():
    model = net()
    weights = model.get_weights()
    techniques = [
        tfc.Prune(0.5, where=tfc.Where(min_size=70), overrides={"wide": None}),
        tfc.Cluster(8, overrides={"head": 4}),
        tfc.Quantize("int8"),
    ]
    compression = tfc.Compression(techniques, verbose=0)
    assert compression.plan is None
    compression.set_model(model)
    found = rows(compression)
    assert found["conv", "kernel"] == (
        "Cluster 8 values per kernel; Quantize 8 bits, one scale per channel",
        True,
    )
    assert "Prune" not in found["wide", "kernel"][0]
    assert found["head", "kernel"][0].startswith("Cluster 4 values per kernel")
    assert "Prune" not in found["still", "kernel"][0] and "Cluster" not in found["still", "kernel"][0]
    assert found["norm", ""][0] == "folded into the kernel beside it in the file"
    for a, b in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_every_reason_is_named():
    compression = tfc.Compression(tfc.Prune(0.5, where=tfc.Where(min_size=40), overrides={"wide": None}), verbose=0)
    model = net()
    with pytest.raises(ValueError, match="Nothing in this model would be compressed") as found:
        compression.set_model(model)
    text = str(found.value)
    assert "conv" in text and "left out by `where`" in text
    assert "override None" in text
    assert "trainable=False (name the layer in `where` to include it)" in text
    assert "Set `trainable = True`" in text


def test_an_unknown_layer_says_how_to_describe_it():
    class Mine(L.Layer):
        def build(self, input_shape):
            self.matrix = self.add_weight(shape=(input_shape[-1], 3))

        def call(self, x):
            return x @ keras.ops.tanh(self.matrix)

    model = keras.Sequential([keras.Input((6,)), L.Dense(4, name="known"), Mine(name="mine")])
    compression = tfc.Compression(tfc.Prune(0.5), verbose=0)
    compression.set_model(model)
    action, is_treated = rows(compression)["mine", "*"]
    assert "unknown layer type Mine" in action and "tfc.describe" in action and not is_treated
    assert rows(compression)["known", "kernel"][1]


def test_the_plan_is_printed_before_the_first_step(points, capsys):
    x, y = points
    model = keras.Sequential([keras.Input((6,)), L.Dense(12, name="hidden"), L.Dense(3, name="head")])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    printed = []

    class First(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            printed.append(capsys.readouterr().err)

    compression = tfc.Compression([tfc.Prune(0.5, overrides={"head": None})])
    model.fit(x, y, batch_size=96, epochs=1, verbose=0, callbacks=[First(), compression])
    lines = printed[0].splitlines()
    assert lines[0].split() == "layer weight what is done, or why not".split()
    assert lines[1].split(maxsplit=2) == [
        "hidden",
        "kernel",
        "Prune sparsity 0.5 (magnitude, unstructured, layer)",
    ]
    assert lines[2].split(maxsplit=2) == ["head", "kernel", "- Prune: override None"]
    assert str(compression.plan) == printed[0].rstrip("\n")
    end = capsys.readouterr().err.strip()
    assert end == "tfcompress: 72 weights compressed; 36 of the 72 under a mask are zero (sparsity 0.5)"


def test_the_last_line_says_what_was_won(points, capsys):
    x, y = points
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(12), keras.layers.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, metrics=["accuracy"])
    compression = tfc.Compression([tfc.Prune(0.5), tfc.Quantize("int8")])
    options = {"epochs": 2, "verbose": 0, "callbacks": [compression]}
    found = model.fit(x, y, validation_data=(x, y), **options).history["val_accuracy"]
    kernels = [layer.kernel.numpy() for layer in model.layers]
    end = capsys.readouterr().err.strip().splitlines()[-1]
    assert end == (
        f"tfcompress: 108 weights compressed; {sum(int((k == 0).sum()) for k in kernels)} of the 108 under a mask are "
        f"zero (sparsity 0.5); {sum(k.nbytes for k in kernels)} bytes of float weights become 108 (4.0 times smaller); "
        f"val_accuracy {found[1]:.4g} after the last epoch, {found[0]:.4g} after the first"
    )
    model.fit(x, y, **options)
    assert "val_accuracy" not in capsys.readouterr().err.strip().splitlines()[-1]  # that was the first training's


def deep_net(blocks):
    inputs = x = keras.Input((8, 8, 3))
    for k in range(blocks):
        y = keras.layers.Conv2D(8, 3, padding="same", use_bias=False, name=f"conv{k}")(x)
        x = keras.layers.ReLU(name=f"relu{k}")(keras.layers.BatchNormalization(name=f"norm{k}")(y))
    model = keras.Model(inputs, keras.layers.Dense(3, name="head")(keras.layers.Flatten()(x)))
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize("verbose", [1, 2])
def test_a_long_plan_is_printed_by_kind(verbose, capsys):
    model, x = deep_net(6), np.zeros((4, 8, 8, 3), "float32")
    recipe = [tfc.Prune(0.5, overrides={"conv5": None}), tfc.Quantize("int8")]
    compression = tfc.Compression(recipe, verbose=verbose)
    model.fit(x, np.zeros((4, 3)), verbose=0, callbacks=[compression])
    printed = capsys.readouterr().err.split("tfcompress:")[0].rstrip("\n")
    if verbose == 2:
        assert printed == str(compression.plan) and printed.count("\n") > 15
        return
    lines = printed.splitlines()
    assert len(lines) <= 15 and lines[-1] == "Every layer: print(compression.plan)"
    counts = {int(line.split()[0]) for line in lines[:-1]}
    assert sum(int(line.split()[0]) for line in lines[:-1]) == len(compression.plan.rows) and 6 in counts
    assert lines[0].startswith("6 kernels: Prune sparsity 0.5") and "(conv0, conv1, ...)" in lines[0]
    assert any(line.startswith("1 kernel: ") and "override None" in line and "(conv5)" in line for line in lines)


def test_a_summary_says_how_far_it_is(points):
    x, y = points
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(12, name="hidden"), keras.layers.Dense(3)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    compression = tfc.Compression(tfc.Prune(0.5), verbose=0)
    assert repr(compression) == "<Compression Prune: no model yet>"
    compression.set_model(model)
    assert "\n0 % of the schedule: 108 weights compressed; 0 of the 108 under a mask" in compression.summary()
    model.fit(x, y, verbose=0, callbacks=[compression])
    zeros = sum(int((layer.kernel.numpy() == 0).sum()) for layer in model.layers)
    told = f"100 % of the schedule: 108 weights compressed; {zeros} of the 108 under a mask are zero (sparsity 0.5)"
    assert zeros == 54 and compression.summary() == f"{compression.plan}\n{told}"
    assert repr(compression) == f"<Compression Prune of {model.name!r}: 100 % of the schedule>"
    session = tfc.compress(model, tfc.Prune(0.5), verbose=0)
    assert repr(session).startswith("<Session Prune of ") and "hidden" in session.summary()


def test_verbose_0_is_quiet(dense_net, points, capfd):
    x, y = points
    compression = tfc.Compression(tfc.Prune(0.5), verbose=0)
    dense_net().fit(x, y, epochs=1, verbose=0, callbacks=[compression])
    out, err = capfd.readouterr()
    assert out == "" and "Prune" not in err and "tfcompress" not in err


class Narrow(Technique):
    """Would take channels out."""

    shape_changing = True


def test_techniques_that_change_shapes_are_refused_with_the_way_out(dense_net, points):
    x, y = points
    model = dense_net()
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"Narrow changes the shape .*session = tfc\.compress\(model, recipe\)"):
        model.fit(x, y, verbose=0, callbacks=[tfc.Compression([tfc.Prune(0.5), Narrow()], verbose=0)])
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_subclassed_model_with_raw_calls_refuses_quantize_only(points, laws):
    class Raw(keras.Model):
        def __init__(self):
            super().__init__()
            self.first, self.second = L.Dense(12), L.Dense(3)

        def call(self, x):
            import tensorflow as tf

            return self.second(tf.raw_ops.Relu(features=self.first(x)) * 2.0)

    x, y = points
    model = Raw()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, jit_compile=False)
    with pytest.raises(ValueError, match="can't be followed .*weights only with tfc.Quantize"):
        model.fit(x, y, verbose=0, callbacks=[tfc.Compression(tfc.Quantize("int8"), verbose=0)])
    compression = tfc.Compression([tfc.Prune(0.5), tfc.Quantize("weights")], verbose=0)
    model.fit(x, y, verbose=0, callbacks=[compression])
    laws(model, compression)
    assert compression.state.ranges == []


@pytest.mark.parametrize("value", [0, -1])
def test_update_every_must_be_a_step(value):
    with pytest.raises(ValueError, match=f"update_every must be at least 1 step. Received: update_every={value}"):
        tfc.Compression(tfc.Prune(0.5), update_every=value)


@pytest.mark.parametrize("call", ["finish", "convert", "predict", "evaluate", "save"])
def test_without_a_model_the_error_says_what_to_do(call, points, tmp_path):
    arguments = {"predict": points[:1], "evaluate": points, "save": (tmp_path / "c.tfc",)}
    compression = tfc.Compression(tfc.Prune(0.5), verbose=0)
    with pytest.raises(ValueError, match="no model yet. Pass it to fit"):
        getattr(compression, call)(*arguments.get(call, ()))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.legacy
def test_a_model_of_tf_keras_is_told_its_way():
    tf_keras = pytest.importorskip("tf_keras")
    model = tf_keras.Sequential([tf_keras.layers.Input((4,)), tf_keras.layers.Dense(2)])
    with pytest.raises(TypeError, match="tfc.load_model"):
        tfc.Compression([tfc.Prune(0.5)], verbose=0).set_model(model)
