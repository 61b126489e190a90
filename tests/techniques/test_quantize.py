"""Quantize: schemes, bits, scales, ranges, overrides; what the file takes and what it refuses."""

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.fake_quant.transforms.quantize import QuantizeWeight
from tfcompress.fake_quant.transforms.ranges import ActivationRange, LearnedRange, PercentileRange

pytestmark = pytest.mark.sampled(8)

L = keras.layers


def grids(compression):
    """Weight grids by layer path."""
    return {t.path: q for t, _, q in compression.state.find(QuantizeWeight)}


def planned(technique, model):
    """A compression that has met the model."""
    compression = tfc.Compression(technique, verbose=0)
    compression.set_model(model)
    return compression


def conv_net():
    """Conv-BatchNorm-ReLU, Conv, Dense; random statistics."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((7,)),
            L.Reshape((7, 1, 1), name="image"),
            L.Conv2D(6, (3, 1), use_bias=False, name="conv"),
            L.BatchNormalization(name="norm"),
            L.ReLU(name="relu"),
            L.Conv2D(5, (2, 1), activation="relu", name="second"),
            L.Flatten(name="flat"),
            L.Dense(3, name="head"),
        ]
    )
    rng = np.random.default_rng(0)
    norm = model.get_layer("norm")
    norm.set_weights([rng.uniform(0.5, 2, 6), rng.normal(size=6), rng.normal(size=6), rng.uniform(0.5, 2, 6)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def gap(compression, artifact, x):
    """Largest difference between file and simulation in steps of the output scale."""
    return np.abs(artifact.predict(x) - compression.predict(x)).max() / artifact.outputs[0].scale


# schemes


def test_int8_is_what_the_file_holds(fitted, points):
    model, compression = fitted(tfc.Quantize(), conv_net())
    artifact = compression.convert(calibration=points[0][:32])
    assert artifact.is_integer and gap(compression, artifact, points[0]) <= 1.001
    assert {k.dtype.name for k in artifact.kernels().values()} == {"int8"}
    # the weights themselves stay float, off the grid: rounding is the file's
    assert np.unique(model.get_layer("head").kernel.numpy()).size == 10 * 3 * 2


SIMULATED = [
    ("w2a8", (2, 8)),
    ("w3a4", (3, 4)),
    ("w4a8", (4, 8)),
    ("w12a16", (12, 16)),
    ("int16x8", (8, 16)),
    (tfc.QuantSpec(symmetric_weights=False), (8, 8)),
    (tfc.QuantSpec(weight_bits=16, activation_bits=None, symmetric_weights=False), (16, None)),
    (tfc.QuantSpec(weight_bits=5, activation_bits=7, symmetric_activations=True), (5, 7)),
]


@pytest.mark.parametrize("scheme, bits", SIMULATED, ids=[str(b) for _, b in SIMULATED])
def test_other_widths_train_in_simulation(scheme, bits, fitted, points):
    model, compression = fitted(tfc.Quantize(scheme), epochs=1)
    weight_bits, activation_bits = bits
    for _, chain, grid in compression.state.find(QuantizeWeight):
        assert grid.bits == weight_bits
        w = np.asarray(chain.value())
        for c in range(w.shape[1]):
            assert np.unique(w[:, c]).size <= 2**weight_bits
    assert {r.bits for r in compression.state.ranges} <= {activation_bits}
    seen = compression.predict(points[0])
    if activation_bits is not None:
        assert np.unique(seen).size <= 2**activation_bits
        if activation_bits <= 8:
            with pytest.raises(ValueError, match="8-bit weights and 8-bit activations; trained were"):
                compression.convert(calibration=points[0][:32])
    else:
        plain = model.predict(points[0], verbose=0)
        np.testing.assert_allclose(seen, plain, atol=0.01)


@pytest.mark.parametrize(
    "scheme, named",
    [("w4a8", r"hidden/kernel \(4 bits\)"), ("w8a4", r"activations of .* \(4 bits\)")],
)
def test_convert_refuses_what_no_file_holds(scheme, named, fitted, points):
    _, compression = fitted(tfc.Quantize(scheme), epochs=1)
    with pytest.raises(ValueError, match=f"{named}.*train with tfc.Quantize\\('int8'\\)"):
        compression.convert(calibration=points[0][:32])
    assert compression.convert(mode="float32").outputs[0].dtype == "float32"


def wide_net():
    """Kernels of more than a thousand weights: smaller ones stay float in a dynamic-range file."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((40,)), L.Dense(64, activation="relu", name="wide"), L.Dense(20, name="head")]
    )
    model.compile("adam", "mse")
    return model


def test_weights_alone_make_a_dynamic_range_file():
    model = wide_net()
    x = np.random.default_rng(0).normal(size=(64, 40)).astype("float32")
    compression = tfc.Compression(tfc.Quantize("weights"), verbose=0)
    model.fit(x, x[:, :20], epochs=2, verbose=0, callbacks=[compression])
    assert compression.state.ranges == []
    artifact = compression.convert()
    assert artifact.metadata["mode"] == "dynamic" and not artifact.is_integer
    kernels = artifact.kernels()
    assert [k.dtype.name for k in kernels.values()] == ["int8", "int8"]
    by_shape = {k.shape: k for k in kernels.values()}
    for _, chain, grid in compression.state.find(QuantizeWeight):
        trained = np.asarray(chain.value())
        codes = np.round(trained / np.asarray(grid.scale(chain.value(lasting=True))))
        np.testing.assert_array_equal(by_shape[trained.shape[::-1]], codes.T)
    simulated = compression.predict(x)
    assert np.abs(artifact.predict(x) - simulated).max() < 0.03 * np.abs(simulated).max()


# scales


@pytest.mark.parametrize("per_channel", [True, False, "auto"])
@pytest.mark.parametrize("clustered", [True, False])
def test_one_scale_per_channel_or_per_tensor(per_channel, clustered):
    techniques = [tfc.Quantize(per_channel=per_channel)] + ([tfc.Cluster(4)] if clustered else [])
    found = grids(planned(techniques, conv_net()))
    assert found["conv"].channel_axes == (3,)  # a folded normalization scales each channel by itself
    by_channel = per_channel is True or per_channel == "auto" and not clustered
    assert found["second"].channel_axes == ((3,) if by_channel else ())
    assert found["head"].channel_axes == ((1,) if by_channel else ())


def test_clusters_per_channel_keep_a_scale_per_channel():
    found = grids(planned([tfc.Quantize(), tfc.Cluster(4, per_channel=True)], conv_net()))
    assert found["head"].channel_axes == (1,)


# ranges


@pytest.mark.parametrize(
    "ranges, kind",
    [(None, ActivationRange), ("percentile", PercentileRange), ("learned", LearnedRange)],
)
def test_kinds_of_ranges_end_in_the_same_file(ranges, kind, fitted, points):
    _, compression = fitted(tfc.Quantize(ranges=ranges), conv_net())
    assert {type(r) for r in compression.state.ranges} == {kind}
    artifact = compression.convert(calibration=points[0][:32])
    assert artifact.is_integer and gap(compression, artifact, points[0]) <= 1.001


@pytest.mark.slow
def test_learned_ranges_are_moved_by_the_loss(fitted):
    def limits(rate):
        model, compression = fitted(tfc.Quantize(ranges="learned"), epochs=3, learning_rate=rate)
        assert len(model.trainable_variables) == 4
        return np.array([r.limits() for r in compression.state.ranges])

    still, moved = limits(1e-12), limits(0.05)
    assert still.shape == moved.shape == (3, 2)
    assert (np.abs(moved[1:] - still[1:]).max(axis=1) > 0.02).all()


def test_percentiles_leave_outliers_out(fitted, points):
    spec = tfc.QuantSpec(ranges="percentile", percentile=90)
    _, narrow = fitted(tfc.Quantize(spec), epochs=1)
    _, wide = fitted(tfc.Quantize(), epochs=1)
    assert narrow.state.inputs[0].limits()[1] < 0.8 * wide.state.inputs[0].limits()[1]


def test_calibration_sets_the_ranges_before_training(net, points):
    class First(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if not hasattr(self, "limits"):
                self.limits = compression.state.inputs[0].limits()
                self.are_set = [r.is_set for r in compression.state.ranges]

    x, y = points
    for calibration, known in ((x[:20], True), (None, False)):
        compression, first = (
            tfc.Compression(tfc.Quantize(), calibration=calibration, verbose=0),
            First(),
        )
        net().fit(x, y, batch_size=16, verbose=0, callbacks=[compression, first])
        assert first.are_set == [known] * 3
        if known:
            np.testing.assert_allclose(first.limits, (x[:20].min(), x[:20].max()), rtol=1e-6)


# overrides


def test_overrides_by_name_type_and_none():
    technique = tfc.Quantize(overrides={"head": "w4a8", "Conv2D": tfc.QuantSpec(weight_bits=6), "second": None})
    compression = planned(technique, conv_net())
    assert {p: q.bits for p, q in grids(compression).items()} == {"conv": 6, "head": 4}
    rows = {(r.layer, r.weight): r for r in compression.plan.rows}
    assert not rows["second", "kernel"].is_treated and "None" in rows["second", "kernel"].action
    assert "4 bits" in rows["head", "kernel"].action


def test_an_override_may_be_a_quantize_of_its_own():
    inner = tfc.Quantize("w4a8", per_channel=False)
    found = grids(planned(tfc.Quantize(per_channel=True, overrides={"head": inner}), conv_net()))
    assert (found["head"].bits, found["head"].channel_axes) == (4, ())
    assert found["second"].channel_axes == (3,)


@pytest.mark.parametrize("by", [{"overrides": {"head": None}}, {"where": tfc.Where(skip="head")}])
def test_a_layer_that_is_left_out_stays_float_in_the_file(by, fitted, points):
    model, compression = fitted(tfc.Quantize(**by), conv_net())
    assert set(grids(compression)) == {"conv", "second"}
    with pytest.raises(tfc.NotFullyInteger, match="head"):
        compression.convert(calibration=points[0][:32])
    artifact = compression.convert(calibration=points[0][:32], io="float32", leave_float=["head"])
    kinds = {k.shape: k.dtype.name for k in artifact.kernels().values()}
    assert kinds[3, 20] == "float32" and set(kinds.values()) == {"int8", "float32"}
    np.testing.assert_allclose(artifact.predict(points[0]), compression.predict(points[0]), atol=0.05)


@pytest.mark.parametrize(
    "arguments, kind, message",
    [
        ({"scheme": "int4"}, ValueError, 'a preset must be "int8", "weights"'),
        ({"scheme": "w1a8"}, ValueError, "weight_bits must be in 2..16"),
        ({"scheme": "w8a17"}, ValueError, "activation_bits must be in 2..16"),
        ({"scheme": 8}, TypeError, "must be a preset such as"),
        ({"ranges": "fixed"}, ValueError, "ranges must be one of"),
        ({"per_channel": "never"}, ValueError, 'True, False or "auto"'),
        ({"overrides": {"head": "w99a8"}}, ValueError, "weight_bits must be in 2..16"),
    ],
)
def test_bad_input_is_refused_by_name(arguments, kind, message):
    with pytest.raises(kind, match=message):
        tfc.Quantize(**arguments)
