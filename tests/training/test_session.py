"""A session trains as the plain model does, keeps every technique's law, and is saved and loaded by Keras half-way."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.fake_quant.transforms.centroids import Centroids
from tfcompress.fake_quant.transforms.mask import Mask
from tfcompress.session_layers.wrapper import Compressed, Ranged
from tfcompress.session_layers.wrapping import is_wrapped

pytestmark = pytest.mark.sampled(6)

L = keras.layers
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
KEEP = [tfc.Prune(tfc.schedules.constant(0.0))]
ALL = [tfc.Prune(0.5), tfc.Cluster(4), tfc.Quantize("int8")]


def images():
    """Conv, depthwise, separable; statistics, regularizers, dropout."""
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((8, 8, 2), name="x"),
            L.Conv2D(4, 3, use_bias=False, kernel_regularizer="l2", name="conv"),
            L.BatchNormalization(momentum=0.8, name="norm"),
            L.ReLU(name="relu"),
            L.DepthwiseConv2D(3, activity_regularizer="l1", name="deep"),
            L.SeparableConv2D(5, 2, name="separable"),
            L.SpatialDropout2D(0.3, name="drop"),
            L.Flatten(name="flat"),
            L.Dense(3, name="head"),
        ],
        name="net",
    )


def words():
    """Embedding with a mask, attention, recurrent layers with dropout, wrapping layers of Keras."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,), dtype="int32", name="x")
    x = L.Embedding(12, 4, mask_zero=True, name="embedding")(inputs)
    x = L.MultiHeadAttention(2, 3, dropout=0.2, name="heads")(x, x)
    x = L.Bidirectional(L.LSTM(3, return_sequences=True, dropout=0.2), name="both")(x)
    x = L.TimeDistributed(L.Dense(4), name="each")(x)
    x = L.GRU(3, recurrent_dropout=0.2, name="gru")(x)
    x = L.EinsumDense("ab,bc->ac", (4,), name="einsum")(x)
    return keras.Model(inputs, L.Dense(3, name="head")(x), name="net")


def nested():
    """A model in a model, used twice, and an operation that is no layer."""
    keras.utils.set_random_seed(0)
    inner = keras.Sequential([keras.Input((6,)), L.Dense(6, activation="relu", name="wide")], name="body")
    inputs = keras.Input((6,), name="x")
    x = inner(inner(inputs))
    x = L.Lambda(lambda t: 2.0 * t, output_shape=(6,), name="double")(x)
    return keras.Model(inputs, L.Dense(3, name="head")(keras.ops.add(x, inputs)), name="net")


def dense():
    """Dense12-ReLU-Dense3."""
    keras.utils.set_random_seed(0)
    layers = [L.Dense(12, activation="relu", name="hidden"), L.Dense(3, name="head")]
    return keras.Sequential([keras.Input((6,), name="x"), *layers], name="net")


def batch(make, count=64):
    """Data for one of the nets."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, count)
    if make is words:
        x = rng.integers(1, 12, (count, 6)).astype("int32")
        x[:, 4:] *= rng.integers(0, 2, (count, 1)).astype("int32")
        return x, y
    shape = (8, 8, 2) if make is images else (6,)
    x = rng.normal(size=(count, *shape)).astype("float32")
    return x, np.argmax(x.reshape(count, -1)[:, :3], axis=1) if make is dense else y


def fit(model, x, y, epochs=2, callbacks=(), optimizer=None, **options):
    """Trains and returns the loss curve."""
    model.compile(optimizer or keras.optimizers.SGD(0.05), LOSS, **options)
    history = model.fit(x, y, epochs=epochs, batch_size=16, shuffle=False, verbose=0, callbacks=list(callbacks))
    return history.history["loss"]


def trained(make=dense, recipe=ALL, epochs=3, **options):
    """A session after training, and its data."""
    x, y = batch(make)
    session = tfc.compress(make(), recipe, verbose=0, **options)
    fit(session.model, x, y, epochs, session.callbacks, keras.optimizers.Adam(0.02))
    return session, x, y


@pytest.mark.parametrize("make", [images, words, nested])
@pytest.mark.parametrize("recipe", [[], KEEP], ids=["nothing", "ones"])
def test_the_loss_curve_is_that_of_the_plain_model(make, recipe):
    """The same dropout is drawn, the same statistics move, the same regularizers count; the original stays."""
    x, y = batch(make)
    model, twin = make(), make()
    before = [v.numpy() for v in model.variables]
    session = tfc.compress(model, recipe, verbose=0)
    assert is_wrapped(session.model) == bool(recipe)
    wanted = fit(twin, x, y)
    found = fit(session.model, x, y, callbacks=session.callbacks if recipe else ())
    np.testing.assert_allclose(found, wanted, rtol=2e-6)
    assert wanted[0] != wanted[-1]
    final = session.finish()
    np.testing.assert_allclose(final.predict(x, verbose=0), twin.predict(x, verbose=0), rtol=1e-4, atol=1e-5)
    for a, v in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(a, v.numpy())


@pytest.mark.slow
@pytest.mark.parametrize(("make", "options"), [(dense, {"jit_compile": True}), (images, {"steps_per_execution": 2})])
def test_a_session_and_the_callback_train_the_same(make, options):
    """In place or in wrappers: the same masks, clusters, ranges and weights."""
    x, y = batch(make)
    model = make()
    compression = tfc.Compression(ALL, verbose=0)
    session = tfc.compress(model, ALL, verbose=0)
    curves = [
        fit(model, x, y, callbacks=[compression], **options),
        fit(session.model, x, y, callbacks=session.callbacks, **options),
    ]
    np.testing.assert_allclose(*curves, rtol=1e-3)
    finals = model, session.finish()
    for name in ("hidden", "head") if make is dense else ("conv", "deep", "head"):
        mine, theirs = ((m.get_layer(name).get_weights()[0]) for m in finals)
        np.testing.assert_array_equal(mine == 0, theirs == 0)
        np.testing.assert_allclose(mine, theirs, atol=2e-3)


@pytest.mark.slow
def test_each_technique_keeps_its_law(file_agrees):
    session, x, _ = trained(images, epochs=4)
    final = session.finish()
    assert not is_wrapped(final) and type(final) is type(keras.Model(final.inputs[0], final.outputs[0]))
    assert [type(layer).__module__.split(".")[0] for layer in final.layers] == ["keras"] * 9
    for _, chain, _ in session.plan.state.find(Mask):
        w = chain.variable.numpy()
        assert int((w == 0).sum()) == round(0.5 * w.size)
        assert np.unique(w[w != 0]).size <= 4
    file_agrees(session.callback, x, lsb=2)  # between the halves of a separable convolution nothing is simulated
    artifact = tfc.convert(final, calibration=x)
    assert artifact.content == session.convert(calibration=x).content
    assert any("quantization-aware" in note for note in artifact.metadata["notes"])


def test_data_set_the_ranges_before_the_first_step():
    x, y = batch(dense)
    session = tfc.compress(dense(), [tfc.Quantize("int8")], data=3.0 * x, verbose=0)

    class First(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if not batch:
                self.found = [s.limits() for s in session.plan.state.ranges]

    first = First()
    fit(session.model, x, y, 1, [*session.callbacks, first])
    assert first.found[0] == pytest.approx((3 * x.min(), 3 * x.max()), rel=1e-5)
    assert all(high > low for low, high in first.found)


@pytest.mark.slow
def test_a_session_is_saved_half_way_and_goes_on(tmp_path):
    """Plain Keras saves it; after loading, masks, clusters, ranges and the place in the schedule are there."""
    recipe = [tfc.Prune(0.5), tfc.Cluster(4, begin=0.3), tfc.Quantize("int8")]
    x, y = batch(dense)
    path = tmp_path / "half.keras"
    session = tfc.compress(dense(), recipe, verbose=0)
    half = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: session.model.save(path) if epoch == 2 else None
    )
    fit(session.model, x, y, 4, [*session.callbacks, half], keras.optimizers.Adam(0.02))
    loaded = tfc.load_model(path)
    assert loaded.compiled and int(loaded.optimizer.iterations) == 12
    again = tfc.compress(loaded, recipe, verbose=0)
    state = again.plan.state
    assert (int(state.step), int(state.total)) == (12, 16)
    assert float(state.progress) == pytest.approx(0.75)
    for _, chain, mask in state.find(Mask):
        assert int((np.asarray(mask.mask) == 0).sum()) == round(0.5 * chain.variable.numpy().size)
    assert all(float(c.active) == 1 for _, _, c in state.find(Centroids))
    assert all(span.is_set for span in state.ranges)
    np.testing.assert_allclose(again.model(x), loaded(x), atol=1e-6)
    fit(again.model, x, y, 1, again.callbacks, keras.optimizers.Adam(0.02))
    assert again.callback.clock.is_over and again.callback.notes == []
    final = again.finish()
    for name in ("hidden", "head"):
        w = final.get_layer(name).kernel.numpy()
        assert int((w == 0).sum()) == round(0.5 * w.size) and np.unique(w[w != 0]).size <= 4
    artifact = again.convert(calibration=x)
    assert (
        artifact.is_integer
        and np.abs(artifact.predict(x) - again.predict(x)).max() <= 1.001 * artifact.outputs[0].scale
    )


def test_after_the_end_the_same_recipe_keeps_what_is_there():
    session, x, y = trained()
    again = tfc.compress(session.model, ALL, verbose=0)
    assert again.callback.clock.is_over
    zeros = [np.asarray(m.mask) for _, _, m in session.plan.state.find(Mask)]
    fit(again.model, x, y, 1, again.callbacks)
    for mask, (_, _, m) in zip(zeros, again.plan.state.find(Mask), strict=True):
        np.testing.assert_array_equal(mask, np.asarray(m.mask))


def test_another_recipe_starts_anew_from_the_ranges_there_are():
    session, x, y = trained()
    again = tfc.compress(session.model, [tfc.Prune(0.75), tfc.Quantize("int8")], verbose=0)
    assert not again.callback.clock.is_over and int(again.plan.state.step) == 0
    limits = [s.limits() for s in session.plan.state.ranges]
    assert [s.limits() for s in again.plan.state.ranges] == limits
    fit(again.model, x, y, 2, again.callbacks)
    w = again.finish().get_layer("hidden").kernel.numpy()
    assert int((w == 0).sum()) == round(0.75 * w.size)


SCRIPT = """
import sys
import numpy as np
import tfcompress as tfc

model = tfc.load_model(sys.argv[1])
x = np.load(sys.argv[2])
np.save(sys.argv[3] + ".npy", model.predict(x, verbose=0))
tfc.convert(sys.argv[1], calibration=x).save(sys.argv[3] + ".tflite")
"""


@pytest.mark.slow
def test_a_fresh_process_loads_and_converts_a_session(tmp_path, request):
    """Where only `import tfcompress` happened; the bytes are those of the process that trained."""
    session, x, _ = trained()
    session.finish()
    session.model.save(tmp_path / "session.keras")
    np.save(tmp_path / "x.npy", x)
    environment = {**os.environ, "PYTHONPATH": str(request.config.rootpath)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *(str(tmp_path / n) for n in ("session.keras", "x.npy", "told"))],
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    np.testing.assert_array_equal(np.load(tmp_path / "told.npy"), session.model.predict(x, verbose=0))
    artifact = tfc.Artifact.load(tmp_path / "told.tflite")
    assert artifact.content == session.convert(calibration=x).content
    assert artifact.metadata["notes"][0] == "a session's model at 100% of its schedule, converted as its layers are now"


@pytest.mark.parametrize("recipe", [[tfc.Prune(0.5)], ALL], ids=["prune", "all"])
def test_a_session_model_converts_as_it_is_now(recipe, tmp_path):
    """Half-way, without touching it: masks and shared values are in the file."""
    x, y = batch(dense)
    session = tfc.compress(dense(), recipe, verbose=0)
    fit(session.model, x, y, 3, session.callbacks)
    session.model.get_layer("hidden").layer.kernel.assign_add(np.full((6, 12), 0.01))
    before = [v.numpy() for v in session.model.variables]
    artifact = tfc.convert(session.model, calibration=x)
    assert artifact.is_integer
    assert sum(int((k == 0).sum()) for k in artifact.kernels().values()) >= 36 + 18
    told = " ".join(artifact.metadata["notes"])
    assert ("quantization-aware" in told) == (recipe is ALL) and "session's model at 100%" in told
    for a, v in zip(before, session.model.variables, strict=True):
        np.testing.assert_array_equal(a, v.numpy())
    assert tfc.convert(session.model, mode="float32").size > 0


def test_a_plain_file_of_the_finished_model_converts_by_calibration(tmp_path):
    session, x, _ = trained()
    session.finish().save(tmp_path / "final.keras")
    loaded = keras.models.load_model(tmp_path / "final.keras")
    assert not is_wrapped(loaded)
    artifact = tfc.convert(tmp_path / "final.keras", calibration=x)
    assert any("post-training quantization" in note for note in artifact.metadata["notes"])
    assert sum(int((k == 0).sum()) for k in artifact.kernels().values()) >= 36 + 18


def test_wrappers_are_where_the_plan_says_and_the_summary_shows_them(capsys):
    session = tfc.compress(dense(), ALL, verbose=0)
    kinds = [type(layer) for layer in session.model.layers]
    assert kinds == [L.InputLayer, Ranged, Compressed, Compressed]
    assert session.model.get_layer("hidden").layer.units == 12
    session.model.summary()
    assert "Compressed" in capsys.readouterr().out
    assert session.plan is session.callback.plan and "hidden" in str(session.plan)


def test_checkpoints_of_weights_carry_the_session(tmp_path):
    session, x, y = trained()
    session.model.save_weights(tmp_path / "s.weights.h5")
    other = tfc.compress(dense(), ALL, verbose=0)
    other.model.load_weights(tmp_path / "s.weights.h5")
    assert other.callback.clock.is_over
    np.testing.assert_array_equal(other.model(x), session.model(x))
    assert other.convert(calibration=x).content == session.convert(calibration=x).content


class Own(keras.Model):
    """Subclassed, without a graph."""

    def __init__(self):
        super().__init__()
        self.first = L.Dense(3)

    def call(self, x):
        return self.first(x)


class OwnStep(keras.Model):
    """A graph in a class with a train_step of its own."""

    def train_step(self, data):
        return super().train_step(data)


def test_subclassed_models_are_refused_with_the_way_out():
    model = Own()
    model(np.zeros((1, 6), "float32"))
    with pytest.raises(ValueError, match=r"Own.*subclassed.*tfc\.Compression"):
        tfc.compress(model, KEEP)


def test_a_train_step_of_the_model_is_said_to_be_lost():
    model = dense()
    with pytest.warns(UserWarning, match=r"train_step of OwnStep.*OwnStep\(session\.model\.inputs"):
        tfc.compress(OwnStep(model.inputs[0], model.outputs[0]), KEEP, verbose=0)


def test_the_callback_refuses_a_session_model():
    x, y = batch(dense)
    session = tfc.compress(dense(), KEEP, verbose=0)
    with pytest.raises(ValueError, match=r"is a session's.*tfc\.compress"):
        fit(session.model, x, y, 1, [tfc.Compression(KEEP, verbose=0)])


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ((3, KEEP), TypeError, "a model of Keras 3 or tf_keras or the path"),
        (("missing.keras", KEEP), FileNotFoundError, "missing.keras"),
        ((None, ["prune"]), TypeError, "A recipe holds techniques.*'prune'"),
    ],
)
def test_bad_input(given, error, text):
    model, recipe = given
    with pytest.raises(error, match=text):
        tfc.compress(dense() if model is None else model, recipe)


def test_unfreezing_a_session_trains_its_layers_and_nothing_of_ours(points):
    x, y = points
    inner = keras.layers.Dense(12, activation="relu", name="hidden", trainable=False)
    model = keras.Sequential([keras.Input((6,)), inner, keras.layers.Dense(3, name="head")])
    session = tfc.compress(model, tfc.Quantize("int8", ranges="learned"), verbose=0)
    assert [v.path for v in session.model.trainable_variables] == ["head/kernel", "head/bias"]
    session.model.trainable = False
    session.model.trainable = True
    assert len(session.model.trainable_variables) == 4  # kernels and biases; ranges have an optimizer of their own
    session.model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    session.model.fit(x, y, epochs=1, verbose=0, callbacks=session.callbacks)
    assert session.callback.notes == []


def _joined(x):
    a, b = keras.layers.Conv2D(3, 1)(x), keras.layers.Conv2D(3, 3, padding="same")(x)
    return keras.ops.relu(keras.layers.Concatenate()([a, b, x]))


@pytest.mark.parametrize(
    "inner",
    [
        lambda x: keras.layers.AveragePooling2D(2)(keras.layers.Conv2D(4, 3)(x)),
        lambda x: keras.layers.UpSampling2D(2, interpolation="bilinear")(keras.layers.Conv2D(4, 3)(x)),
        lambda x: keras.layers.MaxPooling2D(2)(keras.ops.multiply(keras.layers.Conv2D(3, 1)(x), x)),
        _joined,
    ],
    ids=["average", "bilinear", "multiply", "concatenate"],
)
def test_a_model_with_shared_ranges_answers_the_same_after_keras_loaded_it(inner, tmp_path):
    """Keras writes what two layers share once: the copy at the second place came back empty, and rounded nothing."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 3))
    plain = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(inner(inputs))))
    x = np.random.default_rng(0).normal(size=(32, 6, 6, 3)).astype("float32")
    session = tfc.compress(plain, tfc.Quantize("int8"), verbose=0)
    session.model.compile("adam", "mse")
    session.model.fit(x, np.zeros((32, 3)), verbose=0, callbacks=[session.callback])
    session.model.save(tmp_path / "session.keras")
    loaded = keras.models.load_model(tmp_path / "session.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), session.model.predict(x, verbose=0))
    session.model.save_weights(tmp_path / "session.weights.h5")
    loaded.load_weights(tmp_path / "session.weights.h5")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), session.model.predict(x, verbose=0))
