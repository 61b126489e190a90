"""LowRank: full rank equals the original, known ranks are recovered, what does not pay stays; budgets are kept."""

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.calibration.evidence import Evidence
from tfcompress.evaluate.macs import macs
from tfcompress.graph.clone import copied, copy_with_changes
from tfcompress.low_rank.candidates import factorings
from tfcompress.techniques.protocol.graph_technique import Left

L = keras.layers


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def data(model, count=6, seed=1):
    return random(count, *(n or 9 for n in model.input_shape[1:]), seed=seed).astype("float32")


def chain(shape, *layers):
    """A model of layers in a row with random biases."""
    model = keras.Sequential([keras.Input(shape), *layers])
    for v in model.variables:
        if v.name == "bias":
            v.assign(random(*v.shape) * 0.3)
    return model


def operated(model, technique, x=None):
    done = technique.operate(copied(model)[0], Evidence(None if x is None else [x]))
    return done.model, {row.layer: row for row in done.rows}


def gap(a, b, x):
    a, b = np.asarray(a(x)), np.asarray(b(x))
    assert np.abs(a).max() > 1e-3
    return np.abs(a - b).max() / np.abs(a).max()


def factored(model, name, rank, *methods, x=None):
    """A model with one layer factored, whether that pays or not."""
    (factoring,) = factorings(model, {id(model.get_layer(name))}, *methods, x).values()
    made = factoring.layers(factoring.parts(factoring.full if rank is None else rank))
    return copy_with_changes(model, lambda path, op: made if op.name == name else None)[0]


GEOMETRIES = [
    dict(kernel_size=3),
    dict(kernel_size=3, padding="same"),
    dict(kernel_size=3, strides=2, padding="same"),
    dict(kernel_size=(5, 3), strides=2),
    dict(kernel_size=3, dilation_rate=2, padding="same"),
    dict(kernel_size=(3, 2), dilation_rate=(1, 2)),
    dict(kernel_size=(2, 4), strides=3, padding="same"),
]


@pytest.mark.parametrize("method", ["spatial", "tucker", "cp"])
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_full_rank_is_the_original_whatever_the_geometry(method, geometry):
    model = chain((11, 10, 3), L.Conv2D(4, activation="relu", name="conv", **geometry))
    kernel = model.get_layer("conv").kernel
    rank = None
    if method == "tucker":
        rank = (3, 4)
    if method == "cp":  # a known rank: its full one is not found by alternating
        parts = [random(n, 2, seed=k) for k, n in enumerate(kernel.shape)]
        kernel.assign(np.einsum("xr,yr,ir,or->xyio", *parts))
        rank = 2
    made = factored(model, "conv", rank, "svd", method)
    assert gap(model, made, data(model)) <= 1e-5
    last = made.layers[-1]
    assert last.name == "conv" and last.activation is keras.activations.relu and last.use_bias
    assert not any(layer.use_bias for layer in made.layers[1:-1])


def test_unequal_strides_go_with_their_axis():
    model = chain((11, 10, 3), L.Conv2D(4, 3, strides=(2, 1), padding="same", name="conv"))
    assert gap(model, factored(model, "conv", None, "svd", "spatial"), data(model)) <= 1e-5
    _, rows = operated(model, tfc.LowRank(1, method="cp"))
    assert "two different strides" in rows["conv"].reason


@pytest.mark.parametrize("method", ["spatial", "tucker", "cp"])
@pytest.mark.parametrize("options", [dict(padding="same", strides=2), dict(padding="valid", dilation_rate=2)], ids=str)
def test_convolutions_over_one_axis(method, options):
    model = chain((12, 3), L.Conv1D(4, 3, name="conv", **options))
    rank = {"spatial": None, "tucker": (3, 4), "cp": 2}[method]
    if method == "cp":
        model.get_layer("conv").kernel.assign(
            np.einsum("xr,ir,or->xio", random(3, 2), random(3, 2, seed=1), random(4, 2))
        )
    assert gap(model, factored(model, "conv", rank, "svd", method), data(model)) <= 1e-5


def test_causal_and_three_axes():
    model = chain((12, 3), L.Conv1D(4, 3, padding="causal", name="conv"))
    for method in ("spatial", "tucker"):
        rank = None if method == "spatial" else (3, 4)
        assert gap(model, factored(model, "conv", rank, "svd", method), data(model)) <= 1e-5
    model = chain((5, 5, 5, 2), L.Conv3D(3, 2, name="conv"))
    assert gap(model, factored(model, "conv", (2, 3), "svd", "tucker"), data(model)) <= 1e-5
    assert "over one or two axes" in operated(model, tfc.LowRank(1))[1]["conv"].reason


@pytest.mark.parametrize(
    ("shape", "make"),
    [
        ((7,), lambda: L.Dense(5, activation="tanh", name="it")),
        ((4, 7), lambda: L.Dense(5, use_bias=False, name="it")),
        ((4, 7), lambda: L.EinsumDense("abc,cd->abd", (None, 5), bias_axes="d", name="it")),
        ((6, 5, 4), lambda: L.Conv2D(3, 1, strides=2, name="it")),
        ((6, 4), lambda: L.Conv1D(3, 1, name="it")),
    ],
)
def test_full_rank_of_what_is_a_matrix(shape, make):
    model = chain(shape, make())
    assert gap(model, factored(model, "it", None, "svd", "spatial"), data(model)) <= 1e-5


@pytest.mark.parametrize("bias", [True, False])
def test_pca_at_full_rank_and_better_than_svd_on_the_data(bias):
    model = chain((20,), L.Dense(16, use_bias=bias, name="it"))
    x = (random(300, 20) * np.linspace(0.02, 3, 20) + 1).astype("float32")
    assert gap(model, factored(model, "it", None, "pca", "spatial", x=[x]), x) <= 1e-5
    errors = []
    for method in ("svd", "pca"):
        made = factored(model, "it", 4, method, "spatial", x=[x])
        errors.append(np.linalg.norm(model(x) - made(x)))
    assert errors[1] < 0.8 * errors[0]


def known(kind):
    """A VGG-like net whose weights have a known rank, and the technique that finds it."""
    if kind == "dense":
        model = chain((64,), L.Dense(48, name="it"))
        value = random(64, 4) @ random(4, 48, seed=1)
    else:
        model = chain((8, 8, 24), L.Conv2D(32, 3, padding="same", activation="relu", name="it"))
        shape = model.get_layer("it").kernel.shape
        if kind == "spatial":
            value = np.einsum("xir,yro->xyio", random(3, 24, 4), random(3, 4, 32, seed=1))
        elif kind == "tucker":
            value = random(24, 4) @ random(3, 3, 4, 4, seed=1) @ random(4, 32, seed=2)
        else:
            value = np.einsum("xr,yr,ir,or->xyio", *(random(n, 4, seed=k) for k, n in enumerate(shape)))
    model.get_layer("it").kernel.assign(value / np.abs(value).max())
    return model


@pytest.mark.parametrize("how", [dict(rank=4), dict(energy=1.0)], ids=str)
@pytest.mark.parametrize("kind", ["dense", "spatial", "tucker", "cp"])
def test_a_known_rank_is_recovered_exactly(kind, how):
    model = known(kind)
    if "energy" in how:
        how = dict(energy=1 - 1e-9)
    made, rows = operated(model, tfc.LowRank(**how, method=None if kind == "dense" else kind))
    assert gap(model, made, data(model)) <= 1e-5
    assert "of rank 4" in rows["it"].what or "of rank (4, 4)" in rows["it"].what
    assert rows["it"].after < rows["it"].before / 4 and made.count_params() < model.count_params() / 3


def test_what_would_not_pay_stays_and_is_named():
    model = chain((8,), L.Dense(6, name="a", activation="relu"), L.Dense(2, name="b"))
    made, rows = operated(model, tfc.LowRank(4))
    assert gap(model, made, data(model)) == 0
    assert rows["a"].reason == "rank 4 would not pay: 56 MACs and 56 weights instead of 48 and 48"
    assert isinstance(rows["b"], Left)


def test_layers_without_a_form_of_low_rank_are_named():
    model = chain(
        (8, 8, 4),
        L.DepthwiseConv2D(3, name="depthwise"),
        L.Conv2D(4, 3, groups=2, name="grouped"),
        L.Flatten(),
        L.Dense(30, kernel_constraint="non_neg", name="held"),
    )
    _, rows = operated(model, tfc.LowRank(1))
    assert "DepthwiseConv2D has no low-rank form" in rows["depthwise"].reason
    assert rows["grouped"].reason == "it has groups" and "constraint" in rows["held"].reason


def test_energy_takes_the_smallest_rank_that_keeps_it():
    model = chain((40,), L.Dense(40, name="it"))
    u, _ = np.linalg.qr(random(40, 40))
    spectrum = 0.5 ** np.arange(40)
    model.get_layer("it").kernel.assign(u * spectrum @ u.T)
    energy = (spectrum[:3] ** 2).sum() / (spectrum**2).sum()
    _, rows = operated(model, tfc.LowRank(energy=energy - 1e-5))
    assert "of rank 3," in rows["it"].what
    _, rows = operated(model, tfc.LowRank(energy=energy + 1e-5))
    assert "of rank 4," in rows["it"].what


def net():
    """Conv, Conv, Dense, of which `wide` has nearly no rank."""
    model = chain(
        (10, 10, 8),
        L.Conv2D(16, 3, activation="relu", name="one"),
        L.Conv2D(16, 3, activation="relu", name="two"),
        L.Flatten(name="flat"),
        L.Dense(64, activation="relu", name="wide"),
        L.Dense(4, name="last"),
    )
    value = random(576, 3) @ random(3, 64, seed=1) + 0.01 * random(576, 64, seed=2)
    model.get_layer("wide").kernel.assign(value / 60)
    return model


@pytest.mark.parametrize("method", ["spatial", "tucker", "cp"])
def test_macs_by_layer_are_kept_as_full_as_they_can_be(method):
    model = net()
    made, rows = operated(model, tfc.LowRank(macs=0.5, method=method, where=["one", "two", "wide"]))
    for name, row in rows.items():
        (before,) = factorings(model, {id(model.get_layer(name))}, "svd", method).values()
        new = [m for m in (layer.name for layer in made.layers) if m == name or m.startswith(f"{name}_")]
        whole = macs(keras.Model(made.get_layer(new[0]).input, made.get_layer(name).output))
        assert 0.35 * before.own_macs < whole <= 0.5 * before.own_macs, row
    assert macs(made) <= 0.51 * macs(model)


def test_macs_of_the_model_go_where_the_loss_is_least():
    model = net()
    made, rows = operated(model, tfc.LowRank(macs=0.85, scope="model"))
    assert macs(made) <= 0.85 * macs(model)
    assert rows["wide"].after < 0.2 * rows["wide"].before
    with pytest.raises(ValueError, match=r"can't get below 0\.\d+ of the model's"):
        operated(model, tfc.LowRank(macs=0.01, scope="model"))


@pytest.mark.slow
def test_an_error_budget_is_kept_on_data_and_used():
    model = net()
    x = data(model, 64)
    small, rows = operated(model, tfc.LowRank(error=0.05), x)
    error = np.linalg.norm(model(x) - small(x)) / np.linalg.norm(model(x))
    assert 1e-4 < error <= 0.05
    assert rows["wide"].after < 0.2 * rows["wide"].before
    smaller, _ = operated(model, tfc.LowRank(error=0.6), x)
    assert macs(smaller) < macs(small) < macs(model)


def test_an_error_budget_without_data_is_one_on_kernels():
    model = net()
    made, rows = operated(model, tfc.LowRank(error=0.1))
    assert isinstance(rows["one"], Left) and rows["wide"].after < 0.2 * rows["wide"].before
    kernels = made.get_layer("wide_in").kernel @ made.get_layer("wide").kernel
    kernel = model.get_layer("wide").kernel
    assert np.linalg.norm(kernels - kernel) / np.linalg.norm(kernel) <= 0.1


def test_settings_go_to_the_part_they_belong_to():
    model = chain(
        (30,),
        L.Dense(40, activation="elu", kernel_regularizer=keras.regularizers.L2(0.1), bias_regularizer="l1", name="it"),
        L.Dense(2, name="frozen"),
    )
    model.get_layer("it").activity_regularizer = keras.regularizers.L1(0.01)
    model.get_layer("it").trainable = False
    made = tfc.LowRank(2, where="it").apply(model)
    first, last = made.get_layer("it_in"), made.get_layer("it")
    assert not first.use_bias and first.activation is keras.activations.linear and first.bias_regularizer is None
    assert last.use_bias and last.activation is keras.activations.elu and last.bias_regularizer is not None
    assert first.kernel_regularizer.l2 == last.kernel_regularizer.l2 == pytest.approx(0.1)
    assert first.activity_regularizer is None and last.activity_regularizer is not None
    assert not first.trainable and not last.trainable and made.get_layer("frozen").trainable


def test_policies_shared_layers_and_open_sizes():
    policy = keras.DTypePolicy("mixed_float16")
    shared = L.Conv2D(16, 3, padding="same", dtype=policy, name="shared")
    inputs = keras.Input((None, None, 16))
    model = keras.Model(inputs, shared(shared(inputs)))
    made, rows = operated(model, tfc.LowRank(4))
    assert [x.name for x in made.layers[1:]] == ["shared_vertical", "shared"]
    assert all(x.dtype_policy.name == "mixed_float16" for x in made.layers[1:])
    assert made(np.zeros((1, 5, 5, 16))).dtype == "float16"


@pytest.mark.slow
def test_a_new_model_trains_and_saves(tmp_path):
    model = net()
    made = tfc.LowRank(4, where="wide|two").apply(model)
    made.compile("adam", "mse")
    before = np.array(made.get_layer("two_vertical").kernel)
    made.fit(data(model), np.zeros((6, 4)), epochs=1, verbose=0)
    assert (np.array(made.get_layer("two_vertical").kernel) != before).any()
    made.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again(data(model)), made(data(model)))


@pytest.mark.parametrize(
    "technique",
    [
        lambda: tfc.LowRank(8, overrides={"a": 4, "b": None}),
        lambda: tfc.LowRank((4, 8), method="tucker"),
        lambda: tfc.LowRank(energy=0.9, method="pca", where=["a", L.Dense]),
        lambda: tfc.LowRank(macs=0.5, scope="model", method=("cp", "pca")),
        lambda: tfc.LowRank(error=0.1),
    ],
)
def test_json_and_back(technique):
    recipe = tfc.Recipe(technique())
    again = tfc.Recipe.from_json(recipe.to_json())
    assert again == recipe and again.to_json() == recipe.to_json()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (dict(), "give one of rank, energy, macs, error. Received: none"),
        (dict(rank=3, energy=0.5), "Received: rank, energy"),
        (dict(rank=0), r"rank must be an int >= 1.*rank=0"),
        (dict(rank=0.5), "For a fraction use energy"),
        (dict(rank=(3, 4)), "a pair of ranks needs method='tucker'"),
        (dict(energy=90), r"energy must be in \(0, 1\].*Did you mean 0.9"),
        (dict(macs=1.0), r"macs must be in \(0, 1\)"),
        (dict(error=float("nan")), "error must be in"),
        (dict(rank=3, method="SVD"), "method must be one of"),
        (dict(rank=3, method=("svd", "pca")), "or one of each"),
        (dict(rank=3, scope="model"), "scope must be 'layer'"),
        (dict(error=0.1, overrides={"a": 0.2}), "an override can only be None"),
        (dict(rank=3, overrides={"a": "b"}), "rank must be an int"),
    ],
)
def test_bad_input_is_named(given, message):
    with pytest.raises(ValueError, match=message):
        tfc.LowRank(**given)


def test_pca_without_data_and_names_without_layers():
    model = chain((8,), L.Dense(6, name="a"))
    with pytest.raises(ValueError, match="method='pca'.*needs data"):
        tfc.LowRank(1, method="pca").apply(model)
    with pytest.raises(ValueError, match="must name layers of the model.*'b'"):
        tfc.LowRank(1, where="b").apply(model)


def test_names_that_are_taken_are_not_given_again():
    model = chain((30,), L.Dense(20, name="it_in"), L.Dense(30, name="it"), L.Dense(20, name="it_"))
    made = tfc.LowRank(1, where="it").apply(model)
    assert [layer.name for layer in made.layers[1:]] == ["it_in", "it__in", "it", "it_"]


@pytest.mark.slow
def test_a_recipe_of_surgery_and_training():
    model = net()
    recipe = [tfc.Fold(), tfc.LowRank(4, where="wide"), tfc.Quantize("int8")]
    x = data(model, 32)
    session = tfc.compress(model, recipe, data=x, verbose=0)
    session.model.compile("adam", "mse")
    session.model.fit(x, np.asarray(model(x)), epochs=1, verbose=0, callbacks=session.callbacks)
    artifact = session.convert(calibration=x)
    assert artifact.is_integer and session.finish().get_layer("wide_in").kernel.shape == (576, 4)
