"""Layers without kernels: integer files that compute the simulation, or an error; precise normalizations."""

import keras
import numpy as np
import pytest

import tfcompress as tfc

pytestmark = [pytest.mark.sampled(5), pytest.mark.needs_keras("layers.RMSNormalization", rows=["rms"])]

L = keras.layers

NORMS = {
    "layer": lambda: L.LayerNormalization(epsilon=1e-6),
    "rms": lambda: L.RMSNormalization(),
    "group": lambda: L.GroupNormalization(groups=4),
    "unit": L.UnitNormalization,
}


@pytest.mark.sampled(9)
def test_file(plain_case, convert_as_the_table_says):
    convert_as_the_table_says(plain_case, plain_case.model(between=True))


def vectors(kind: str, count: int = 48) -> np.ndarray:
    """Samples `(count, 8, 32)` of vectors: of one size, of sizes that differ, with blank ones between."""
    rng = np.random.default_rng(1)
    x = rng.normal(0.2, 1.0, (count, 8, 32))
    sizes = {
        "a tenth": 0.1,
        "one": 1.0,
        "ten": 10.0,
        "a fourth to four": np.exp(rng.uniform(np.log(0.25), np.log(4.0), (count, 8, 1))),
        "one or blank": rng.integers(0, 2, (count, 8, 1)),
    }
    return (x * sizes[kind]).astype("float32")


@pytest.mark.parametrize("kind", ["a tenth", "one", "ten", "a fourth to four", "one or blank"])
@pytest.mark.parametrize("norm", ["layer", "group"])
def test_a_normalization_keeps_precision(norm, kind, shake):
    """The error beside that of the 256 codes of its input and output, which nobody can avoid."""
    inputs = keras.Input((8, 32), name="x")
    model = keras.Model(inputs, NORMS[norm]()(inputs))
    shake(model)
    x = vectors(kind)
    plain, artifact = model.predict(x, verbose=0), tfc.convert(model, calibration=x)
    step = (x.max() - x.min()) / 255.0
    rounded = model.predict(np.round(x / step) * step, verbose=0)
    least = np.sqrt(np.mean((rounded - plain) ** 2) + artifact.outputs[0].scale ** 2 / 12.0)
    for xnnpack in (True, False):
        error = np.sqrt(np.mean((artifact.predict(x, xnnpack=xnnpack) - plain) ** 2))
        assert artifact.is_integer and error < 2.0 * least


def net(norm):
    """Dense-ELU, a normalization, softplus, a node of `keras.ops`; `(8, 32)` to three logits."""
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((8, 32), name="x")
    x = NORMS[norm]()(L.Dense(16, activation="elu")(x))
    x = L.Dense(16, activation="softplus")(x)
    model = keras.Model(inputs, L.Dense(3)(L.Flatten()(x + keras.ops.elu(x - 1.0))))
    compiled(model)
    return model


def compiled(model):
    model.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))


def task():
    """Vectors of sizes that differ, and which of three sums of values is largest."""
    x = vectors("a fourth to four", 256)
    return x, x[:, :, :30].reshape(256, 8, 3, 10).mean((1, 3)).argmax(1)


@pytest.mark.parametrize("norm", NORMS)
def test_trained_ranges_need_no_data(norm):
    model, (x, y) = net(norm), task()
    compression = tfc.Compression(tfc.Quantize("int8"), verbose=0)
    model.fit(x, y, epochs=3, verbose=0, callbacks=[compression])
    artifact, simulated = compression.convert(), compression.predict(x)
    got = artifact.predict(x)
    assert artifact.is_integer and np.abs(got - simulated).max() < 4.5 * artifact.outputs[0].scale
    assert np.mean(got.argmax(1) == simulated.argmax(1)) > 0.98


@pytest.mark.slow
def test_a_session_keeps_the_ranges_inside(tmp_path):
    model, (x, y) = net("layer"), task()
    session = tfc.compress(model, tfc.Quantize("int8"), verbose=0)
    compiled(session.model)
    session.model.fit(x, y, epochs=2, verbose=0, callbacks=session.callbacks)
    session.model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    simulated = loaded.predict(x, verbose=0)
    assert np.array_equal(simulated, session.model.predict(x, verbose=0))
    artifact = tfc.convert(loaded, calibration=x[:32])  # for the node, which has no place for ranges
    assert artifact.is_integer and np.abs(artifact.predict(x) - simulated).max() < 4.5 * artifact.outputs[0].scale
