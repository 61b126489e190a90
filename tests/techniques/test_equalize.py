"""Equalize: the float output stays, the error of an int8 file with one scale per tensor falls."""

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.calibration.evidence import Evidence
from tfcompress.graph.clone import copied
from tfcompress.techniques.protocol.graph_technique import Left

L = keras.layers


def uneven(model, spread=30.0, seed=0):
    """The model with random statistics, and channels of very different ranges in every layer."""
    rng = np.random.default_rng(seed)
    for v in model.variables:
        if v.name in ("bias", "beta", "moving_mean"):
            v.assign(rng.normal(0, 0.1, v.shape))
        elif v.name in ("gamma", "moving_variance", "alpha"):
            v.assign(rng.uniform(0.5, 1.5, v.shape))
        elif "kernel" in v.name:
            v.assign(np.array(v) * spread ** rng.uniform(-1, 1, (1,) * (len(v.shape) - 1) + (v.shape[-1],)))
            if v.shape[-1] == 1:
                v.assign(np.array(v) * spread ** rng.uniform(-1, 1, (1, 1, v.shape[-2], 1)))
    return model


def chain(shape, *layers):
    return uneven(keras.Sequential([keras.Input(shape), *layers]))


def data(model, count=64, seed=1):
    return np.random.default_rng(seed).normal(size=(count, *model.input_shape[1:])).astype("float32")


def equalized(model, technique=None):
    """The equalized model, after the law was checked on it, and the rows."""
    done = (technique or tfc.Equalize()).operate(copied(model)[0], Evidence())
    x = data(model, 8)
    for a, b in zip(*(keras.tree.flatten(m(x, training=False)) for m in (model, done.model)), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert np.abs(a).max() > 1e-4 and np.abs(a - b).max() <= 1e-5 * np.abs(a).max()
    return done.model, done.rows


def left(rows):
    return {row.layer: row.reason for row in rows if isinstance(row, Left)}


def links(rows):
    return {row.layer: row for row in rows if not isinstance(row, Left) and row.what.startswith("equalized")}


def mobile_net():
    """Conv, depthwise, conv with normalizations, Flatten and Dense: everything between can be equalized."""
    return chain(
        (8, 8, 3),
        L.Conv2D(8, 3, use_bias=False, name="stem"),
        L.BatchNormalization(name="norm"),
        L.ReLU(),
        L.DepthwiseConv2D(3, padding="same", name="depthwise"),
        L.BatchNormalization(),
        L.ReLU(),
        L.Conv2D(10, 1, activation="relu", name="point"),
        L.MaxPooling2D(2),
        L.Dropout(0.2),
        L.Flatten(),
        L.Dense(4, name="head"),
    )


def largest(kernel, axes):
    return np.abs(np.array(kernel)).max(axis=axes)


def test_the_output_stays_and_ranges_become_equal_through_depthwise_and_flatten():
    model, rows = equalized(mobile_net())
    assert set(links(rows)) == {"stem", "depthwise", "point"} and set(left(rows)) == {"head"}
    point, head = model.get_layer("point").kernel, np.array(model.get_layer("head").kernel)
    np.testing.assert_allclose(largest(point, (0, 1, 2)), np.abs(head).reshape(-1, 10, 4).max(axis=(0, 2)), rtol=0.01)
    depthwise = model.get_layer("depthwise").kernel
    np.testing.assert_allclose(
        largest(model.get_layer("stem").kernel, (0, 1, 2)), largest(depthwise, (0, 1, 3)), rtol=0.01
    )
    np.testing.assert_allclose(largest(depthwise, (0, 1, 3)), largest(point, (0, 1, 3)), rtol=0.01)
    assert all(row.after < row.before for row in links(rows).values())


@pytest.mark.parametrize("act", ["relu", "linear", "leaky_relu"])
def test_homogeneous_activations_in_the_layer(act):
    _, rows = equalized(chain((6,), L.Dense(8, activation=act, name="a"), L.Dense(3)))
    assert "a" in links(rows)


@pytest.mark.parametrize(
    "between",
    [
        lambda: [L.PReLU(shared_axes=[1, 2])],
        lambda: [L.LeakyReLU(), L.AveragePooling2D(2, padding="same")],
        lambda: [L.ReLU(negative_slope=0.2), L.ZeroPadding2D(1), L.UpSampling2D(2)],
        lambda: [L.Activation("relu"), L.GaussianNoise(0.1), L.MaxPooling2D(2)],
    ],
)
def test_homogeneous_layers_between(between):
    _, rows = equalized(chain((6, 6, 2), L.Conv2D(8, 3, name="a"), *between(), L.Conv2D(3, 2)))
    assert "a" in links(rows)


@pytest.mark.parametrize(
    "between",
    [
        lambda: [L.Activation("gelu", name="b")],
        lambda: [L.ReLU(threshold=0.5, name="b")],
        lambda: [L.ReLU(max_value=6, name="b")],
        lambda: [L.LayerNormalization(name="b")],
        lambda: [L.Rescaling(2.0, 0.3, name="b"), L.ReLU()],
    ],
)
def test_what_does_not_scale_is_left_alone_and_named(between):
    layers = between()
    relu = [L.ReLU()] if isinstance(layers[0], L.Rescaling) else []
    _, rows = equalized(chain((6, 6, 2), L.Conv2D(8, 3, name="a"), *relu, *layers, L.Conv2D(3, 2)))
    assert "b reads it" in left(rows)["a"]
    _, rows = equalized(chain((6,), L.Dense(8, activation="tanh", name="a"), L.Dense(3)))
    assert "activation tanh does not scale" in left(rows)["a"]


def test_several_readers_share_the_scale_and_a_sum_keeps_the_layer():
    x = inputs = keras.Input((6, 6, 2))
    x = L.Conv2D(8, 3, activation="relu", name="a")(x)
    y = L.Conv2D(4, 3, padding="same", name="b")(x)
    z = L.SeparableConv2D(4, 3, padding="same", name="c")(x)
    w = L.Conv2D(4, 3, padding="same", groups=2, name="d")(x)
    _, rows = equalized(uneven(keras.Model(inputs, L.Add(name="sum")([y, z, w]))))
    assert all(name in links(rows)["a"].what for name in "bcd")
    assert set(left(rows)) == {"b", "c", "d"} and "sum reads it" in left(rows)["b"]


def test_a_shared_layer_and_an_output_are_left_alone():
    shared = L.Dense(6, activation="relu", name="shared")
    x = inputs = keras.Input((6,))
    y = L.Dense(6, activation="relu", name="a")(x)
    model = keras.Model(inputs, [shared(shared(y)), y])
    _, rows = equalized(uneven(model))
    assert left(rows)["a"].endswith("the model returns it") and not links(rows)


@pytest.mark.parametrize("how", ["activation", "layer", "ops", "inside"])
def test_relu6_becomes_relu_only_when_said(how):
    x = inputs = keras.Input((6,))
    x = L.Dense(8, activation="relu6" if how == "inside" else None, name="a")(x)
    if how != "inside":
        x = {"activation": L.Activation("relu6"), "layer": L.ReLU(6), "ops": keras.ops.relu6}[how](x)
    model = uneven(keras.Model(inputs, L.Dense(3, name="b")(x)))
    _, rows = equalized(model)
    assert "a" in left(rows)
    x = data(model) * 1e-3  # nothing is clipped
    done = tfc.Equalize(relu6=True).operate(copied(model)[0], Evidence())
    assert "a" in links(done.rows) and any("ReLU6 became ReLU" in getattr(row, "what", "") for row in done.rows)
    np.testing.assert_allclose(done.model(x), model(x), rtol=1e-4, atol=1e-6)


def test_dead_channels_stay_dead():
    model = chain((6,), L.Dense(8, activation="relu", name="a"), L.Dense(3, name="b"))
    for name, at in (("a", np.s_[:, 2]), ("b", np.s_[5])):
        kernel = np.array(model.get_layer(name).kernel)
        kernel[at] = 0
        model.get_layer(name).kernel.assign(kernel)
    made, _ = equalized(model)
    assert (
        not np.array(made.get_layer("a").kernel)[:, 2].any() and np.isfinite(np.array(made.get_layer("a").kernel)).all()
    )


def int8_gap(model, original, x):
    """Relative error of an int8 file with one weight scale per tensor, and the part of it that is the mean's."""
    wanted = np.asarray(original(x))
    model.compile(keras.optimizers.SGD(0.0), "mse")  # ranges are found, nothing is learned
    compression = tfc.Compression(tfc.Quantize(tfc.QuantSpec(per_channel=False)), calibration=x, verbose=0)
    model.fit(x, wanted, batch_size=len(x), verbose=0, callbacks=[compression])
    artifact = compression.convert(calibration=x)
    assert artifact.is_integer
    gap = artifact.predict(x) - wanted
    return np.linalg.norm(gap) / np.linalg.norm(wanted), np.abs(gap.mean(axis=0)).mean() / np.abs(wanted).mean()


@pytest.mark.slow
@pytest.mark.e2e
def test_the_int8_file_with_one_scale_per_tensor_comes_closer_and_its_mean_back():
    layers = [L.Conv2D(16, 3, activation="relu", name=name) for name in "ab"]
    model = keras.Sequential(
        [keras.Input((10, 10, 3)), *layers, L.GlobalAveragePooling2D(name="pool"), L.Dense(6, name="c")]
    )
    rng = np.random.default_rng(0)
    for before, behind in zip("ab", "bc", strict=True):  # badly scaled channels of the same function
        factor = 6 ** rng.uniform(-1, 1, 16)
        layer, reader = model.get_layer(before), model.get_layer(behind)
        layer.kernel.assign(np.array(layer.kernel) * factor)
        reader.kernel.assign(np.array(reader.kernel) / factor[:, None])
    x = data(model, 128)
    equal, corrected = tfc.Equalize().apply(model), tfc.Equalize(bias_correction=True).apply(model, data=x)
    plain = copied(model)[0]
    (before, _), (after, off), (best, centred) = (int8_gap(m, model, x) for m in (plain, equal, corrected))
    assert before > 5 * after and after < 0.1
    assert centred < 0.5 * off and best < after


def test_bias_correction_matches_the_means_of_rounded_weights():
    model = chain((20,), L.Dense(30, activation="relu", name="a"), L.Dense(10, use_bias=False, name="b"))
    x = data(model, 128)
    made = tfc.Equalize(bias_correction=True, bits=4).apply(model, data=x)
    kernels = [np.array(made.get_layer(n).kernel) for n in "ab"]
    rounded = [np.round(k / np.abs(k).max() * 7) * np.abs(k).max() / 7 for k in kernels]
    y = np.maximum(x @ rounded[0] + np.array(made.get_layer("a").bias), 0) @ rounded[1]
    np.testing.assert_allclose(
        (y + np.array(made.get_layer("b").bias)).mean(axis=0), np.mean(model(x), axis=0), atol=1e-4
    )
    assert np.abs(np.asarray(made(x)) - np.asarray(model(x))).max() > 1e-4  # floats change on purpose


def transformer(kind="LayerNormalization"):
    """A block that normalizes first; channels 3 and 9 behind each normalization are 30 times as large.

    The kernels that read them are as much smaller there, as they are in nets that were trained.
    """
    norm = getattr(L, kind)
    x = inputs = keras.Input((8, 16))
    y = norm(name="first")(x)
    x = L.Add()([x, L.MultiHeadAttention(2, 8, dropout=0.1, name="attention")(y, y)])
    y = L.Dense(32, activation="gelu", name="up")(norm(name="second")(x))
    x = norm(name="third")(L.Add()([x, L.Dense(16, name="down")(y)]))
    model = keras.Model(inputs, L.Dense(5, name="head")(L.GlobalAveragePooling1D()(x)))
    rng = np.random.default_rng(0)
    for v in model.variables:
        if v.name in ("gamma", "scale"):
            v.assign(rng.uniform(0.5, 1.5, v.shape))
    large = np.ones(16)
    large[[3, 9]] = 30
    for name in ("first", "second", "third"):
        for v in model.get_layer(name).trainable_variables:
            v.assign(np.asarray(v) * large)
    heads = [getattr(model.get_layer("attention"), f"{name}_dense") for name in ("query", "key", "value")]
    for layer in (*heads, model.get_layer("up"), model.get_layer("head")):
        kernel = np.asarray(layer.kernel)
        layer.kernel.assign(kernel / large.reshape(-1, *[1] * (kernel.ndim - 1)))
    return model


@pytest.mark.slow
@pytest.mark.e2e
@pytest.mark.needs_keras("layers.RMSNormalization", rows=["RMSNormalization"])
@pytest.mark.parametrize("norm", ["LayerNormalization", "RMSNormalization"])
def test_the_int8_file_of_a_transformer_with_outliers_comes_closer_when_smoothed(norm):
    model = transformer(norm)
    x = data(model, 128)
    smoothed = tfc.Equalize(smooth=0.5).apply(model, x)
    wanted = np.asarray(model(x))
    np.testing.assert_allclose(smoothed(x), wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())
    files = [tfc.convert(m, calibration=x, diagnose=False) for m in (model, smoothed)]
    before, after = (
        np.linalg.norm(f.predict(x) - wanted) / np.linalg.norm(wanted - wanted.mean(axis=0)) for f in files
    )
    print(f"{norm}: error of the int8 file {before:.4f} before, {after:.4f} smoothed")
    assert all(f.is_integer for f in files) and after < before / 5


@pytest.mark.needs_keras("layers.RMSNormalization")
def test_smoothing_names_what_it_leaves_and_where_holds():
    layers = [L.LayerNormalization(name="n"), L.Dense(8, activation="gelu", name="a"), L.RMSNormalization(name="m")]
    model = chain((6,), L.LayerNormalization(scale=False, name="plain"), L.Dense(6), *layers, L.Dense(3, name="b"))
    rows = tfc.Equalize(smooth=0.5).operate(copied(model)[0], Evidence([data(model)])).rows
    assert "it has no gamma" in left(rows)["plain"]
    smoothed = {row.layer: row.what for row in rows if "smoothed" in getattr(row, "what", "")}
    assert smoothed.keys() == {"n", "m"} and "smoothed with b;" in smoothed["m"]
    some = tfc.Equalize(smooth=0.5, where=["n", "a"], overrides={"a": None})
    rows = some.operate(copied(model)[0], Evidence([data(model)])).rows
    assert left(rows)["n"] == "a behind it is left out" and not any("smoothed" in str(row) for row in rows)


def test_smoothing_inside_of_a_layer_of_ones_own():
    block = transformer()

    class Own(L.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.held = block.layers[1:]

        def call(self, x):
            first, attention, add, second, up, down, add_1, third, *_ = self.held
            y = first(x)
            x = add([x, attention(y, y)])
            return third(add_1([x, down(up(second(x)))]))

    inputs = keras.Input((8, 16))
    model = keras.Model(inputs, L.Dense(3, name="out")(Own(name="own")(inputs)))
    x = data(model)
    made = tfc.Equalize(smooth=0.5).apply(model, x)
    np.testing.assert_allclose(made(x), model(x), rtol=0, atol=1e-5 * np.abs(np.asarray(model(x))).max())
    for name in ("first", "second", "third"):
        old, new = (np.abs(np.asarray(layer.gamma)) for layer in (block.get_layer(name), made.get_layer(f"own_{name}")))
        assert new.max() / new.min() < 0.5 * old.max() / old.min()


def test_a_recipe_smooths_in_a_session():
    model = chain((6,), L.LayerNormalization(name="norm"), L.Dense(3, name="head"))
    x = data(model)
    recipe = tfc.Recipe.from_json(tfc.Recipe([tfc.Equalize(smooth=0.5), tfc.Quantize()]).to_json())
    session = tfc.compress(model, recipe, x, verbose=0)
    s = np.sqrt(np.abs(model.layers[0](x)).max(axis=0) / np.abs(np.asarray(model.get_layer("head").kernel)).max(axis=1))
    gamma = np.asarray(model.get_layer("norm").gamma)
    np.testing.assert_allclose(session.finish().get_layer("norm").gamma, gamma / s, rtol=1e-4)
    with pytest.raises(ValueError, match="Equalize: smooth: needs data"):
        tfc.compress(model, recipe, verbose=0)


def test_json_and_back():
    recipe = tfc.Recipe(
        tfc.Equalize(relu6=True, bias_correction=True, bits=6, smooth=0.25, where=["a"], overrides={"b": None})
    )
    assert tfc.Recipe.from_json(recipe.to_json()) == recipe
    old = recipe.to_json().replace(',\n   "smooth": 0.25', "")  # recipes of earlier releases have no such field
    assert old != recipe.to_json() and [t.smooth for t in tfc.Recipe.from_json(old)] == [None]


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (dict(relu6=1), TypeError, "relu6 must be True or False. Received: relu6=1"),
        (dict(bits=8.0), TypeError, "bits must be an int"),
        (dict(bits=1), ValueError, r"bits must be in 2..16. Received: bits=1"),
        (dict(smooth=1.5), ValueError, r"smooth must be None .*0..1, such as 0.5. Received: smooth=1.5"),
        (dict(smooth=True), TypeError, "smooth must be None .* Received: smooth=True of type bool"),
        (dict(overrides={"a": 2}), ValueError, "an override must be None"),
    ],
)
def test_bad_input_is_named(given, error, message):
    with pytest.raises(error, match=message):
        tfc.Equalize(**given)


@pytest.mark.parametrize("wish", [{"bias_correction": True}, {"smooth": 0.5}])
def test_bias_correction_and_smoothing_need_data(wish):
    (name,) = wish
    with pytest.raises(ValueError, match=f"Equalize: {name}: needs data"):
        tfc.Equalize(**wish).apply(chain((6,), L.Dense(8), L.Dense(3)))
