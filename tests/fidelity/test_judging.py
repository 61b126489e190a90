"""Files that lose what the model knows are warned of, with the layer and ways out that were tried; or refused."""

import keras
import numpy as np
import pytest

import tfcompress as tfc

pytestmark = pytest.mark.sampled(3)

L = keras.layers


def warned(model, x, **options):
    with pytest.warns(tfc.FidelityWarning) as told:
        artifact = tfc.convert(model, calibration=x, **options)
    return artifact, str(told[0].message)


@pytest.fixture
def kelvin(rng):
    """A regression whose bias is large against what it says: 290 and some tenths."""
    model = keras.Sequential([keras.Input((6,)), L.Dense(16, activation="relu"), L.Dense(1, name="head")])
    model.layers[-1].bias.assign([290.0])
    return model, rng.normal(size=(120, 6)).astype("float32")


@pytest.mark.e2e
def test_a_good_file_says_so_without_a_warning(rng, recwarn):
    x = rng.random((64, 8, 8, 1)).astype("float32")
    model = keras.Sequential([keras.Input((8, 8, 1)), L.Conv2D(6, 3, activation="relu"), L.Flatten(), L.Dense(3)])
    artifact = tfc.convert(model, calibration=x)
    wanted, got = model.predict(x, verbose=0), artifact.predict(x)
    (row,) = artifact.fidelity.against()
    spread = np.sqrt(np.mean(wanted.astype("float64").var(axis=0)))
    assert row.error == pytest.approx(np.sqrt(np.mean((got.astype("float64") - wanted) ** 2)) / spread, rel=1e-5)
    assert row.same == np.count_nonzero(got.argmax(1) == wanted.argmax(1))
    (plain,) = artifact.fidelity.against(xnnpack=False)
    got = artifact.predict(x, xnnpack=False)
    assert plain.largest_error == pytest.approx(np.abs(got - wanted).max(), rel=1e-5)
    assert artifact.verdict() in artifact.summary() and "of 64 samples" in artifact.verdict()
    assert not [w for w in recwarn if issubclass(w.category, tfc.FidelityWarning)]


@pytest.mark.slow
@pytest.mark.e2e
def test_a_head_with_an_offset_is_named_with_a_way_out_that_works(kelvin):
    model, x = kelvin
    artifact, text = warned(model, x)
    assert "layer 'head'" in text and "channel 0 is left with" in text and "leave_float=['head']" in text
    followed = tfc.convert(model, calibration=x, leave_float=["head"])
    wanted = model.predict(x, verbose=0)
    errors = [np.sqrt(np.mean((a.predict(x) - wanted) ** 2)) / wanted.std() for a in (artifact, followed)]
    assert errors[0] > 0.3 and errors[1] < 0.05
    tried = {r["what"]: r["error"] for r in artifact.metadata["fidelity"]["remedies"]}
    quoted = next(e for what, e in tried.items() if "leave_float" in what)
    assert quoted == pytest.approx(errors[1], rel=0.2)


@pytest.mark.slow
@pytest.mark.e2e
def test_boxes_and_scores_in_one_tensor_are_better_apart(rng):
    x = rng.random((40, 16, 16, 3)).astype("float32")
    i = keras.Input((16, 16, 3))
    h = L.Conv2D(8, 3, 2, "same", activation="relu")(i)
    boxes = keras.ops.sigmoid(L.Reshape((-1, 4))(L.Conv2D(4, 1)(h))) * 320.0
    scores = keras.ops.sigmoid(L.Reshape((-1, 5))(L.Conv2D(5, 1)(h)))
    model = keras.Model(i, L.Concatenate(name="both")([boxes, scores]))
    _, text = warned(model, x)
    assert "layer 'both'" in text and "2 separate outputs" in text
    apart = tfc.convert(keras.Model(i, [boxes, scores]), calibration=x)
    assert all(r.channel_error < 0.25 for r in apart.fidelity.outputs)


@pytest.mark.slow
@pytest.mark.e2e
def test_outliers_of_the_input_are_named(rng):
    x = (rng.standard_t(1.5, (3000, 32)) * 0.01).clip(-1, 1).astype("float32")
    y = (np.tanh(x * 60) @ rng.normal(size=(32, 4))).argmax(-1)
    model = keras.Sequential([keras.Input((32,), name="points"), L.Dense(24, "relu"), L.Dense(4, "softmax")])
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    model.fit(x, y, epochs=25, batch_size=64, verbose=0)
    artifact, text = warned(model, x[:256])
    assert "input 'points'" in text and "(tried: same class on" in text
    same = np.count_nonzero(model.predict(x[:256], verbose=0).argmax(1) == artifact.predict(x[:256]).argmax(1))
    assert f"on {same} of 256" in text or f"on {artifact.fidelity.lost()[0].same} of 256" in text


@pytest.mark.e2e
def test_uneven_features_are_better_normalized(rng):
    sizes = np.geomspace(1.0, 1000.0, 8)
    x = (rng.normal(size=(200, 8)) * sizes).astype("float32")
    model = keras.Sequential([keras.Input((8,), name="sensors"), L.Dense(12, activation="tanh"), L.Dense(2)])
    model.layers[0].kernel.assign(rng.normal(size=(8, 12)) / sizes[:, None])
    _, text = warned(model, x)
    assert "input 'sensors'" in text and "normalize input 'sensors'" in text


@pytest.mark.slow
@pytest.mark.e2e
def test_outliers_behind_a_normalization_are_smoothed(rng):
    x = rng.normal(size=(100, 6, 16)).astype("float32")
    i = keras.Input((6, 16))
    h = L.LayerNormalization(name="norm")(i)
    h = L.Dense(16, activation="gelu", name="up")(h)
    model = keras.Model(i, L.Dense(3, name="head")(L.Flatten()(h)))
    large = np.ones(16)
    large[[2, 7]] = 100
    model.get_layer("norm").gamma.assign(large)
    model.get_layer("up").kernel.assign(np.asarray(model.get_layer("up").kernel) / large[:, None])
    artifact, text = warned(model, x)
    assert "tfc.Equalize(smooth=0.5).apply(model, x) (tried: same class on" in text
    followed = tfc.convert(tfc.Equalize(smooth=0.5).apply(model, x), calibration=x)
    wanted = model.predict(x, verbose=0)
    spread = np.sqrt(np.mean(wanted.astype("float64").var(axis=0)))
    errors = [np.sqrt(np.mean((a.predict(x) - wanted) ** 2)) / spread for a in (artifact, followed)]
    assert errors[1] < errors[0] / 5
    quoted = next(r["error"] for r in artifact.metadata["fidelity"]["remedies"] if "smooth" in r["what"])
    assert quoted == pytest.approx(errors[1], rel=0.2)


@pytest.mark.e2e
def test_a_requirement_refuses_the_file(kelvin):
    model, x = kelvin
    with pytest.raises(tfc.NotFaithful, match="error 0.[0-9]+, required is at most 0.05") as refused:
        tfc.convert(model, calibration=x, require={"error": 0.05})
    assert refused.value.fidelity.error > 0.05 and "leave_float=['head']" in str(refused.value)
    tfc.convert(model, calibration=x, require={"error": 0.1}, leave_float=["head"])
    with pytest.raises(ValueError, match="Pass calibration="):
        tfc.convert(model, mode="float32", require={"error": 0.1})


@pytest.mark.e2e
def test_diagnosis_can_be_left_out(kelvin):
    model, x = kelvin
    artifact, text = warned(model, x, diagnose=False)
    assert "head" not in text and "remedies" not in artifact.metadata["fidelity"]


@pytest.mark.e2e
@pytest.mark.parametrize("mode", ["float32", "float16", "dynamic", "int16x8"])
def test_every_mode_is_compared(rng, mode):
    x = rng.random((20, 6)).astype("float32")
    model = keras.Sequential([keras.Input((6,)), L.Dense(200, activation="relu"), L.Dense(3)])
    artifact = tfc.convert(model, mode, calibration=x)
    wanted = model.predict(x, verbose=0)
    (row,) = artifact.fidelity.against()
    assert row.largest_error == pytest.approx(np.abs(artifact.predict(x) - wanted).max(), abs=1e-6)
    assert row.error < {"float32": 1e-5, "float16": 2e-3, "dynamic": 0.05, "int16x8": 0.02}[mode]


@pytest.mark.e2e
def test_dynamic_says_when_nothing_was_compressed(rng):
    model = keras.Sequential([keras.Input((6,)), L.Dense(8), L.Dense(3)])
    (note,) = tfc.convert(model, "dynamic").metadata["notes"]
    assert "nothing was compressed" in note and "1,024" in note


@pytest.mark.e2e
def test_a_trained_model_is_compared_with_its_simulation_and_its_predict(rng):
    x = rng.normal(size=(64, 8)).astype("float32")
    model = keras.Sequential([keras.Input((8,)), L.Dense(16, activation="relu"), L.Dense(2)])
    model.compile("adam", "mse")
    compression = tfc.Compression([tfc.Quantize("int8")], verbose=0)
    model.fit(x, x[:, :2], epochs=2, verbose=0, callbacks=[compression])
    artifact = compression.convert(calibration=x)
    (simulation,) = artifact.fidelity.against("simulation")
    (plain,) = artifact.fidelity.against("float model")
    assert simulation.largest_error == pytest.approx(
        np.abs(artifact.predict(x) - compression.predict(x)).max(), abs=1e-6
    )
    wanted = model.predict(x, verbose=0)
    assert plain.largest_error == pytest.approx(np.abs(artifact.predict(x) - wanted).max(), abs=1e-6)
    assert simulation.error < plain.error and "against the simulation" in artifact.verdict()


@pytest.mark.e2e
def test_percentile_ranges_cut_outliers_off(rng):
    x = rng.normal(size=(400, 8)).astype("float32")
    x[0, 0] = 1000.0
    model = keras.Sequential([keras.Input((8,)), L.Dense(16, activation="tanh"), L.Dense(2)])
    plain = tfc.convert(model, calibration=x, limit=400, diagnose=False)
    cut = tfc.convert(model, calibration=x, limit=400, percentile=99.5)
    assert cut.inputs[0].scale < plain.inputs[0].scale / 50
    wanted = model.predict(x[1:], verbose=0)
    errors = [np.abs(a.predict(x[1:]) - wanted).mean() for a in (plain, cut)]
    assert errors[1] < errors[0] / 5
    with pytest.raises(ValueError, match="percentile must be above 50"):
        tfc.convert(model, calibration=x, percentile=1.5)


@pytest.mark.e2e
def test_a_model_that_mixes_samples_is_told_so(rng):
    i = keras.Input((6,))
    h = L.Dense(8, activation="relu")(i)
    model = keras.Model(i, L.Dense(3)(h - keras.ops.mean(h, axis=0, keepdims=True)))
    _, text = warned(model, rng.random((20, 6)).astype("float32"), mode="float32")
    assert "mixes the samples of a batch" in text
