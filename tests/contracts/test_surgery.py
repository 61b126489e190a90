"""Surgery with everything: every ordered pair of surgeries, and every surgery before every technique of training.

What leaves the function equal by itself does so in any order; what does not still gives a model that
is converted whole, whose file answers as it does, and whose training keeps the other technique's law.
"""

import itertools

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.techniques.protocol.graph_technique import Change, Left

pytestmark = pytest.mark.sampled(10)

L = keras.layers
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

EXACT = {
    "Fold": lambda: tfc.Fold(),
    "Equalize": lambda: tfc.Equalize(),
    "LowRank full": lambda: tfc.LowRank(energy=1.0),
    "MergeChannels equal": lambda: tfc.MergeChannels(threshold=0.99999),
}
SMALLER = {
    "PruneChannels": lambda: tfc.PruneChannels(0.5, round_to=4, scope="layer"),
    "LowRank": lambda: tfc.LowRank(macs=0.5),
    "MergeChannels": lambda: tfc.MergeChannels(amount=0.3),
    "DropLayers": lambda: tfc.DropLayers(1, what="blocks"),
}
ALL = EXACT | SMALLER


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return rng.random((64, 8, 8, 3)).astype("float32"), rng.integers(0, 4, 64)


@pytest.fixture
def model(graph_models):
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((8, 8, 3))
    x = L.ReLU()(L.BatchNormalization()(L.Conv2D(12, 3, padding="same", name="stem", use_bias=False)(x)))
    y = L.BatchNormalization()(L.Conv2D(12, 3, padding="same", name="body")(x))
    x = L.ReLU()(L.Add(name="sum")([x, y]))
    x = L.Conv2D(16, 3, activation="relu", name="twins")(x)
    x = L.Dense(24, activation="relu", name="wide")(L.Flatten()(L.MaxPooling2D()(x)))
    made = graph_models.shaken(keras.Model(inputs, L.Dense(4, name="head")(x)))
    kernel, bias = made.get_layer("twins").get_weights()
    kernel[..., 8:10], bias[8:10] = kernel[..., :2], bias[:2]  # something to merge
    made.get_layer("twins").set_weights([kernel, bias])
    made.compile(loss=LOSS)
    return made


def test_every_surgery_of_the_library_is_here():
    public = {name for name in tfc.__all__ if isinstance(getattr(tfc, name), type)}
    surgeries = {name for name in public if issubclass(getattr(tfc, name), tfc.GraphTechnique)} - {"GraphTechnique"}
    assert surgeries == {name.split()[0] for name in ALL}


@pytest.mark.parametrize("first, second", list(itertools.permutations(EXACT, 2)))
def test_exact_surgeries_stay_exact_in_any_order(model, data, graph_models, first, second):
    one = EXACT[first]().apply(model, data[0])
    two = EXACT[second]().apply(one, data[0])
    assert graph_models.gap(two(data[0]), model(data[0])) <= 3e-5


@pytest.mark.parametrize("first, second", [p for p in itertools.permutations(ALL, 2) if not set(p) <= set(EXACT)])
def test_every_pair_makes_a_model_that_converts(model, data, first, second):
    x, y = data
    before = [np.array(w) for w in model.weights]
    session = tfc.compress(model, [ALL[first](), ALL[second]()], x, labels=y, verbose=0)
    small = session.finish()
    assert small.count_params() < model.count_params()
    assert np.isfinite(np.asarray(small(x))).all()
    assert all(np.array_equal(a, np.array(w)) for a, w in zip(before, model.weights, strict=True))
    kinds = {name.split()[0] for name in (first, second)}
    assert {row.action.split(":")[0] for row in session.plan.rows if row.weight == "(graph)"} == kinds


@pytest.mark.sampled(30)
@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    "technique", [tfc.Prune(0.5), tfc.Cluster(8), tfc.Quantize("int8")], ids=["Prune", "Cluster", "Quantize"]
)
def test_training_after_surgery_keeps_its_law(model, data, name, technique, tmp_path):
    x, y = data
    session = tfc.compress(model, [ALL[name](), technique], x, labels=y, verbose=0)
    session.model.compile(keras.optimizers.Adam(1e-3), LOSS)
    session.model.fit(x, y, epochs=2, batch_size=16, verbose=0, callbacks=session.callbacks)
    done = session.finish()
    for layer in done.layers:
        for kernel in [w for w in layer.get_weights() if w.ndim > 1]:
            if isinstance(technique, tfc.Prune):
                assert int((kernel == 0).sum()) == round(0.5 * kernel.size)
            if isinstance(technique, tfc.Cluster):
                assert np.unique(kernel[kernel != 0]).size <= 8
    artifact = session.convert(tmp_path / "m.tflite", calibration=x)
    assert artifact.is_integer
    if isinstance(technique, tfc.Quantize):
        assert np.abs(artifact.predict(x) - session.predict(x)).max() <= 1.01 * artifact.outputs[0].scale
    assert {row["technique"] for row in artifact.metadata["surgery"]} == {name.split()[0]}


@pytest.mark.parametrize("name", ALL)
def test_rows_are_told_for_every_surgery(model, data, name):
    session = tfc.compress(model, ALL[name](), data[0], labels=data[1], verbose=0)
    ((_, rows),) = session.callback.run.carrier.operated
    assert rows and all(isinstance(row, (Change, Left)) for row in rows)


@pytest.mark.parametrize("name", ALL)
def test_live_models_are_refused_with_the_way_out(model, name):
    with pytest.raises(ValueError, match="Use session = tfc.compress"):
        tfc.Compression([ALL[name]()], verbose=0).set_model(model)


@pytest.mark.parametrize("name", ALL)
def test_recipes_go_to_json_and_back(name):
    recipe = tfc.Recipe([ALL[name](), tfc.Quantize("int8")])
    assert list(tfc.Recipe.from_json(recipe.to_json())) == list(recipe)
