"""Fold: the folded model equals the original, with random statistics; what stays is named."""

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.calibration.evidence import Evidence
from tfcompress.graph.clone import copied
from tfcompress.techniques.protocol.graph_technique import Left

L = keras.layers


def shaken(model, seed=0):
    """The model with random biases, factors and statistics."""
    rng = np.random.default_rng(seed)
    for v in model.variables:
        if v.name in ("bias", "beta", "moving_mean", "mean"):
            v.assign(rng.normal(0, 0.3, v.shape))
        elif v.name in ("gamma", "moving_variance", "alpha"):
            v.assign(rng.uniform(0.5, 1.5, v.shape))
    return model


def chain(shape, *layers):
    """A model of layers in a row, shaken."""
    return shaken(keras.Sequential([keras.Input(shape), *layers]))


def folded(model, technique=None):
    """The folded model, after the law was checked on it, and the rows."""
    technique = technique or tfc.Fold()
    done = technique.operate(copied(model)[0], Evidence())
    rng = np.random.default_rng(1)
    x = [rng.normal(size=(5, *(n or 7 for n in i.shape[1:]))).astype("float32") for i in model.inputs]
    x = x if len(x) > 1 else x[0]
    before, after = (keras.tree.flatten(m(x, training=False)) for m in (model, done.model))
    for a, b in zip(before, after, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert np.abs(a).max() > 1e-3  # nothing is proven on zeros
        assert np.abs(a - b).max() <= 1e-5 * np.abs(a).max()
    return done.model, done.rows


def kinds(model):
    return [type(layer).__name__ for layer in model.layers if not isinstance(layer, L.InputLayer)]


def left(rows):
    return {row.layer: row.reason for row in rows if isinstance(row, Left)}


def residual_net():
    """Two residual blocks, depthwise, separable and transposed convolutions; two outputs."""

    def block(x, name):
        y = L.Conv2D(8, 3, padding="same", use_bias=False, name=f"{name}_a")(x)
        y = L.ReLU()(L.BatchNormalization()(y))
        y = L.BatchNormalization(scale=False)(L.Conv2D(8, 3, padding="same", name=f"{name}_b")(L.Dropout(0.3)(y)))
        return L.ReLU()(L.Add()([x, y]))

    x = inputs = keras.Input((8, 8, 3))
    x = L.ReLU()(L.BatchNormalization()(L.Conv2D(8, 3, padding="same", use_bias=False, name="stem")(x)))
    x = block(block(x, "one"), "two")
    x = L.BatchNormalization()(L.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False)(x))
    x = L.BatchNormalization()(L.SeparableConv2D(6, 3, use_bias=False)(L.PReLU(shared_axes=[1, 2])(x)))
    x = L.BatchNormalization()(L.Conv2DTranspose(4, 3, strides=2, use_bias=False)(x))
    x = L.BatchNormalization(name="flat_norm")(L.Activation("tanh")(x))
    y = L.BatchNormalization()(L.Dense(5)(L.Flatten()(x)))
    return shaken(keras.Model(inputs, [y, L.Dense(3)(L.ReLU()(y))]))


def test_a_residual_net_with_two_outputs_keeps_its_answer_and_no_normalization():
    model, rows = folded(residual_net())
    assert not {"BatchNormalization", "Dropout"} & set(kinds(model))
    assert not left(rows)


def test_a_shared_layer_with_two_normalizations_is_left_alone_and_named():
    conv = L.Conv2D(4, 3, name="shared")
    inputs = [keras.Input((6, 6, 2)), keras.Input((6, 6, 2))]
    norms = [L.BatchNormalization(name=f"norm{k}")(conv(x)) for k, x in enumerate(inputs)]
    model, rows = folded(shaken(keras.Model(inputs, L.Concatenate()(norms))))
    assert kinds(model).count("BatchNormalization") == 2
    assert set(left(rows)) == {"norm0", "norm1"}
    assert "shared" in left(rows)["norm0"] and "more than once" in left(rows)["norm0"]


def test_a_nested_model_is_opened():
    inner = keras.Sequential([keras.Input((4, 4, 4)), L.Conv2D(4, 3), L.BatchNormalization(), L.ReLU()], name="inner")
    model, _ = folded(chain((6, 6, 3), L.Conv2D(4, 3, activation="relu"), inner, L.Flatten(), L.Dense(2)))
    assert kinds(model) == ["Conv2D", "Conv2D", "ReLU", "Flatten", "Dense"]


@pytest.mark.parametrize(
    ("layers", "shape", "expected"),
    [
        ([L.BatchNormalization, lambda: L.Conv2D(4, 3)], (6, 6, 3), ["Conv2D"]),
        ([L.BatchNormalization, lambda: L.Conv2D(6, 3, groups=2)], (6, 6, 4), ["Conv2D"]),
        ([L.BatchNormalization, lambda: L.DepthwiseConv2D(3, depth_multiplier=2)], (6, 6, 4), ["DepthwiseConv2D"]),
        ([L.BatchNormalization, lambda: L.SeparableConv2D(3, 3)], (6, 6, 4), ["SeparableConv2D"]),
        ([lambda: L.Conv1D(5, 3, padding="causal"), L.BatchNormalization], (7, 4), ["Conv1D"]),
        ([lambda: L.EinsumDense("abc,cd->abd", (None, 5)), L.BatchNormalization], (7, 4), ["EinsumDense"]),
        ([lambda: L.Conv3D(3, 2), L.BatchNormalization], (4, 4, 4, 2), ["Conv3D"]),
        ([lambda: L.Conv2D(5, 3, groups=5), L.BatchNormalization], (6, 6, 5), ["Conv2D"]),
        ([lambda: L.Rescaling(1 / 127, -1), L.BatchNormalization, lambda: L.Conv2D(4, 3)], (6, 6, 3), ["Conv2D"]),
        ([lambda: L.Normalization(mean=[90.0, 9, 0], variance=[1, 4, 9]), lambda: L.Dense(2)], (3,), ["Dense"]),
        # padding that puts no zeros beside the data: 6 is a multiple of 2
        ([L.BatchNormalization, lambda: L.Conv2D(4, 2, 2, padding="same")], (6, 6, 3), ["Conv2D"]),
        # means keep factors and shifts
        ([L.BatchNormalization, L.GlobalAveragePooling2D, lambda: L.Dense(2)], (6, 6, 3), [*"PD"]),
    ],
)
def test_what_scales_and_shifts_goes_into_the_kernel_beside_it(layers, shape, expected):
    model, rows = folded(chain(shape, *(make() for make in layers)))
    if expected == [*"PD"]:
        expected = ["GlobalAveragePooling2D", "Dense"]
    assert kinds(model) == expected and not left(rows)


def test_in_front_of_padding_a_factor_folds_and_a_shift_does_not():
    scaled, rows = folded(chain((6, 6, 3), L.Rescaling(1 / 255), L.Conv2D(4, 3, padding="same")))
    assert kinds(scaled) == ["Conv2D"] and not left(rows)
    model = chain((6, 6, 3), L.Rescaling(1 / 127, -1, name="shifted"), L.Conv2D(4, 3, padding="same", name="conv"))
    shifted, rows = folded(model)
    assert kinds(shifted) == ["Rescaling", "Conv2D"]
    assert "padding of conv puts zeros" in left(rows)["shifted"]


def test_an_activation_between_or_a_second_reader_keeps_the_normalization():
    x = inputs = keras.Input((6, 6, 3))
    x = L.BatchNormalization(name="behind_relu")(L.Conv2D(4, 3, activation="relu", name="conv")(x))
    y = L.Conv2D(4, 3, padding="same", name="both")(L.ReLU()(x))
    out = L.Concatenate()([L.BatchNormalization(name="of_both")(y), y])
    _, rows = folded(shaken(keras.Model(inputs, out)))
    assert "activation of conv" in left(rows)["behind_relu"]
    assert "others read the output of both" in left(rows)["of_both"]


def test_what_does_nothing_at_inference_goes_away():
    nothing = [
        L.GaussianNoise(0.1),
        L.Identity(),
        L.Activation("linear"),
        L.SpatialDropout2D(0.2),
        L.GaussianDropout(0.1),
    ]
    model, rows = folded(chain((6, 6, 3), L.Conv2D(4, 3, activation="relu"), *nothing, L.Conv2D(2, 3)))
    assert kinds(model) == ["Conv2D", "Conv2D"] and len(rows) == len(nothing)


def test_linear_layers_in_a_row_become_one_where_that_is_not_larger():
    model, rows = folded(
        chain(
            (9,),
            L.Dense(12, name="a"),
            L.Dense(7, activation="relu", name="b"),
            L.Dense(2, name="c"),
            L.Dense(9, name="d"),
        )
    )
    assert [layer.name for layer in model.layers[-3:]] == ["b", "c", "d"]  # 7 x 2 and 2 x 9 are fewer than 7 x 9
    assert "instead of fewer" in left(rows)["d"] and model.get_layer("b").activation is keras.activations.relu


def test_pointwise_convolutions_merge_into_those_beside_them():
    layers = [
        L.Conv2D(16, 1, name="wide"),
        L.Conv2D(6, 3, strides=2, padding="valid", name="strided"),
        L.Conv2D(5, 1, activation="relu", name="relu"),
        L.Conv2D(12, 1, use_bias=False, name="no_bias"),
        L.Conv2D(4, 3, padding="same", name="padded"),
        L.Dense(3, name="points"),
    ]
    model, rows = folded(chain((9, 9, 4), *layers))
    assert [layer.name for layer in model.layers[-2:]] == ["relu", "points"]
    assert model.get_layer("relu").strides == (2, 2) and model.get_layer("points").padding == "same"


def test_a_bias_before_padding_keeps_two_convolutions():
    _, rows = folded(chain((6, 6, 3), L.Conv2D(9, 1, name="a"), L.Conv2D(4, 3, padding="same", name="b")))
    assert "bias of a can't be folded into it" in left(rows)["b"]


def dead_net(padding):
    """Channel 1 of `a` has no weights, channel 2 of the depthwise layer neither."""
    model = chain(
        (8, 8, 2),
        L.Conv2D(4, 3, name="a"),
        L.BatchNormalization(name="norm"),
        L.ReLU(),
        L.DepthwiseConv2D(3, name="depthwise", activation="relu"),
        L.MaxPooling2D(2),
        L.Conv2D(5, 2, padding=padding, name="b", activation="relu"),
        L.Flatten(),
        L.Dense(3, name="c"),
    )
    for name, at in (("a", np.s_[..., 1]), ("depthwise", np.s_[:, :, 2]), ("b", np.s_[..., 4])):
        kernel = np.array(model.get_layer(name).kernel)
        kernel[at] = 0
        model.get_layer(name).kernel.assign(kernel)
    model.get_layer("norm").beta.assign([0.1, 2.0, 0.3, 0.4])
    for name in ("depthwise", "b"):
        model.get_layer(name).bias.assign(np.abs(np.array(model.get_layer(name).bias)) + 3)
    return model


def test_dead_channels_go_into_the_biases_behind_them_and_are_cut():
    model, rows = folded(dead_net("valid"))
    shapes = {layer.name: tuple(layer.kernel.shape) for layer in model.layers if layer.weights}
    assert shapes == {"a": (3, 3, 2, 2), "depthwise": (3, 3, 2, 1), "b": (2, 2, 2, 4), "c": (4, 3)}
    assert not left(rows)


def test_a_constant_beside_padding_stays_and_is_named():
    model, rows = folded(dead_net("same"))
    shapes = {layer.name: tuple(layer.kernel.shape) for layer in model.layers if layer.weights}
    assert shapes["a"] == (3, 3, 2, 4) and shapes["b"] == (2, 2, 4, 4)
    assert "2 constant input channels stay" in left(rows)["b"] and "padding" in left(rows)["b"]


def test_a_branch_of_zeros_goes_away():
    x = inputs = keras.Input((6, 6, 3))
    x = L.Conv2D(4, 3, padding="same", activation="relu", name="stem")(x)
    y = L.Conv2D(4, 3, padding="same", name="one")(x)
    y = L.BatchNormalization(name="norm")(L.Conv2D(4, 3, padding="same", name="two")(L.ReLU()(y)))
    model = shaken(keras.Model(inputs, L.Dense(2)(L.Flatten()(L.ReLU()(L.Add(name="sum")([x, y]))))))
    norm = model.get_layer("norm")
    norm.gamma.assign(np.zeros(4))
    norm.beta.assign(np.zeros(4))
    smaller, rows = folded(model)
    assert kinds(smaller) == ["Conv2D", "ReLU", "Flatten", "Dense"]
    assert any(row.layer == "sum" and "zeros" in row.what for row in rows)


def test_channels_nobody_reads_are_cut():
    model = chain((6,), L.Dense(5, activation="relu", name="a"), L.Dense(3, name="b"))
    kernel = np.array(model.get_layer("b").kernel)
    kernel[[0, 3]] = 0
    model.get_layer("b").kernel.assign(kernel)
    smaller, _ = folded(model)
    assert smaller.get_layer("a").kernel.shape == (6, 3)
    kept, _ = folded(model, tfc.Fold(overrides={"a": None}))
    assert kept.get_layer("a").kernel.shape == (6, 5)


def test_where_and_overrides_leave_layers_alone():
    model = residual_net()
    some, rows = folded(model, tfc.Fold(where="batch_normalization.*", overrides={"flat_norm": None}))
    assert "Dropout" in kinds(some) and kinds(some).count("BatchNormalization") == 1
    assert left(rows) == {"flat_norm": "left out by `where` or `overrides`"}


def test_the_model_is_not_changed_and_trainability_stays():
    model = chain((6, 6, 3), L.Conv2D(4, 3, name="conv"), L.BatchNormalization(), L.ReLU(), L.Conv2D(2, 3, name="last"))
    model.get_layer("last").trainable = False
    before = [np.array(v) for v in model.variables]
    smaller = tfc.Fold().apply(model)
    assert all((a == np.array(b)).all() for a, b in zip(before, model.variables, strict=True))
    assert smaller.get_layer("conv").trainable and not smaller.get_layer("last").trainable


def test_mixed_precision_stays_what_it_is():
    policy = keras.DTypePolicy("mixed_float16")
    layers = [L.Conv2D(4, 3, dtype=policy, name="conv"), L.BatchNormalization(dtype=policy), L.ReLU(dtype=policy)]
    model = chain((6, 6, 3), *layers)
    smaller = tfc.Fold().apply(model)
    assert kinds(smaller) == ["Conv2D", "ReLU"] and smaller.get_layer("conv").dtype_policy.name == "mixed_float16"
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 3)).astype("float32")
    np.testing.assert_allclose(smaller(x), model(x), atol=1e-2)


def test_json_and_back():
    recipe = tfc.Recipe(tfc.Fold(where=["a", L.BatchNormalization], overrides={"b": None}))
    assert tfc.Recipe.from_json(recipe.to_json()) == recipe


@pytest.mark.parametrize("overrides", [{"a": 3}, {"a": False}])
def test_an_override_is_none_or_true(overrides):
    with pytest.raises(ValueError, match="Fold: an override must be None"):
        tfc.Fold(overrides=overrides)


def test_a_name_that_no_layer_has_is_an_error():
    with pytest.raises(ValueError, match=r"Fold: where and overrides must name layers.*haed.*There are"):
        tfc.Fold(overrides={"haed": None}).apply(chain((3,), L.Dense(2, name="head")))
