"""Every way Keras runs a step keeps the laws: zeros, values, ranges and the file."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfcompress as tfc
from tfcompress.fake_quant.transforms.centroids import Centroids
from tfcompress.fake_quant.transforms.scores import ScoredMask
from tfcompress.graph.keras_private import full_precision

pytestmark = pytest.mark.sampled(6)

L = keras.layers


def everything(**options):
    """Half of the weights gone, four values for the rest, int8."""
    techniques = [tfc.Prune(0.5), tfc.Cluster(4), tfc.Quantize("int8", **options)]
    return tfc.Compression(techniques, verbose=0)


def assert_clustered(compression):
    """At most four values and the zero in every kernel."""
    found = compression.state.find(Centroids)
    assert len(found) == 2
    for _, chain, _ in found:
        assert len(np.unique(chain.variable.numpy())) <= 5


COMPILED = {
    "xla": {"jit_compile": True},
    "graph": {"jit_compile": False},
    "eager": {"run_eagerly": True},
    "three steps a call": {"steps_per_execution": 3},
    "accumulated": {"optimizer": keras.optimizers.Adam},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPILED)
def test_compile_options(name, dense_net, points, laws):
    x, y = points
    options = dict(COMPILED[name])
    if "optimizer" in options:
        options["optimizer"] = keras.optimizers.Adam(gradient_accumulation_steps=4)
    model, compression = dense_net(**options), everything()
    model.fit(x, y, batch_size=12, epochs=2, verbose=0, callbacks=[compression])
    # 8 steps an epoch: three calls of at most 3, two optimizer updates of 4
    assert (compression.clock.step, compression.clock.total) == (16, 16)
    assert all(float(span.seen) == 16 for span in compression.state.ranges)
    laws(model, compression, x)
    assert_clustered(compression)


@pytest.mark.slow
@pytest.mark.parametrize(("policy", "jit"), [("mixed_bfloat16", False), ("mixed_float16", True)])
def test_mixed_precision(policy, jit, points, laws):
    x, y = points
    model = keras.Sequential(
        [
            keras.Input((6,)),
            L.Dense(12, activation="relu", dtype=policy),
            L.Dense(3, dtype=policy),
            L.Activation("linear", dtype="float32"),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, jit_compile=jit)
    compression = everything()
    model.fit(x, y, epochs=4, verbose=0, callbacks=[compression])
    assert all(v.dtype == "float32" for v in compression.state.transforms[0].variables if v.shape == ())
    assert {str(v.dtype) for v in model.trainable_variables} == {"float32"}
    laws(model, compression, x)
    assert_clustered(compression)


def dataset(x, y):
    """Batches whose number is known."""
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(16)


def endless(x, y):
    """Batches whose number nobody knows: `fit` gets steps_per_epoch."""
    while True:
        for k in range(0, 96, 16):
            yield x[k : k + 16], y[k : k + 16]


class Sequence(keras.utils.PyDataset):
    """Batches by number."""

    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def __len__(self):
        return 6

    def __getitem__(self, k):
        return self.x[k * 16 : k * 16 + 16], self.y[k * 16 : k * 16 + 16]


@pytest.mark.parametrize(
    ("data", "options"),
    [(dataset, {}), (endless, {"steps_per_epoch": 6}), (Sequence, {})],
    ids=["tf.data", "generator", "PyDataset"],
)
def test_sources_of_batches(data, options, dense_net, points, laws):
    x, y = points
    model, compression = dense_net(), everything()
    model.fit(data(x, y), epochs=2, verbose=0, callbacks=[compression], **options)
    assert (compression.clock.step, compression.clock.total) == (12, 12)
    laws(model, compression)
    assert_clustered(compression)


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
@pytest.mark.parametrize("steps", [1, 4])
def test_data_of_unknown_length(steps, dense_net, points, laws):
    """Progress goes by epochs until the first one has shown its length."""
    x, y = points
    data = tf.data.Dataset.from_generator(
        lambda: ((x[k : k + 16], y[k : k + 16]) for k in range(0, 96, 16)),
        output_signature=(tf.TensorSpec((16, 6)), tf.TensorSpec((16,), tf.int64)),
    )
    seen = []

    class Seen(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            seen.append(compression.clock.progress)

    model, compression = dense_net(steps_per_execution=steps), everything()
    model.fit(data, epochs=4, verbose=0, callbacks=[compression, Seen()])
    calls = -(-6 // steps)
    assert seen[:calls] == [0.0] * calls
    assert seen == sorted(seen) and 0.24 < seen[calls + 1] < 0.6
    assert compression.clock.progress == 1.0 and compression.notes == []
    laws(model, compression)
    assert_clustered(compression)


def test_data_that_runs_out_early(dense_net, points, laws):
    """`steps_per_epoch` promised more than there is."""
    x, y = points
    model, compression = dense_net(), everything()
    with pytest.warns(UserWarning, match="ran out of data"):
        model.fit(
            (b for _, b in zip(range(9), endless(x, y), strict=False)),
            steps_per_epoch=6,
            epochs=2,
            verbose=0,
            callbacks=[compression],
        )
    laws(model, compression)
    assert any("of the schedule" in note for note in compression.notes)


@pytest.mark.slow
def test_class_and_sample_weights_and_validation(dense_net, points, laws):
    """Classes 0 and 1 weigh nothing: the compressed model learns class 2 alone."""
    x, y = points
    model, compression = dense_net(keras.optimizers.Adam(0.05)), everything()
    model.fit(
        x,
        y,
        epochs=4,
        verbose=0,
        class_weight={0: 0.0, 1: 0.0, 2: 1.0},
        validation_data=(x, y, (y == 2).astype("float32")),
        callbacks=[compression],
    )
    assert np.all(compression.predict(x).argmax(axis=1) == 2)
    laws(model, compression, x)
    model, compression = dense_net(keras.optimizers.Adam(0.05)), everything()
    weights = (y == 1).astype("float32")
    model.fit(
        x,
        y,
        epochs=4,
        verbose=0,
        sample_weight=weights,
        validation_split=0.25,
        callbacks=[compression],
    )
    assert np.all(compression.predict(x).argmax(axis=1) == 1)
    laws(model, compression)


class OwnStep(keras.Sequential):
    """A train_step of its own."""

    asks_for_loss = True

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            if self.asks_for_loss:
                loss = self.compute_loss(x=x, y=y, y_pred=y_pred)
            else:
                loss = tf.reduce_mean(self.loss(y, y_pred))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {"loss": loss}


def own_step():
    """Compiled."""
    model = OwnStep([keras.Input((6,)), L.Dense(12, activation="relu"), L.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, jit_compile=False)
    return model


@pytest.mark.parametrize("ranges", ["moving", "learned"])
def test_custom_train_step(ranges, points, laws):
    x, y = points
    model, compression = own_step(), everything(ranges=ranges)
    model.fit(x, y, epochs=2, verbose=0, callbacks=[compression])
    laws(model, compression, x)
    assert_clustered(compression)


@pytest.mark.slow
def test_a_train_step_that_never_asks_for_the_loss_is_told_so(points, hooks):
    x, y = points
    model = own_step()
    model.asks_for_loss = False
    with pytest.raises(ValueError, match=r"Prune add.* never calls self.compute_loss"):
        model.fit(x, y, verbose=0, callbacks=[tfc.Compression(tfc.Prune(0.5, l1=0.1), verbose=0)])
    assert hooks(model) == []
    # a technique that adds nothing to the loss needs none
    compression = tfc.Compression(tfc.Prune(0.5), verbose=0)
    model.fit(x, y, verbose=0, callbacks=[compression])
    assert int((model.layers[0].kernel.numpy() == 0).sum()) == 36


@pytest.mark.parametrize("options", [{}, {"run_eagerly": True}], ids=str)
def test_l1_is_in_the_loss_and_shrinks_weights(options, dense_net, points):
    x, y = points
    sums = []
    for l1 in (0.0, 0.05):
        keras.utils.set_random_seed(0)
        model = dense_net(keras.optimizers.Adam(0.01), **options)
        first = float(np.abs(model.layers[0].kernel.numpy()).sum() + np.abs(model.layers[1].kernel.numpy()).sum())
        prune = tfc.Prune(tfc.schedules.constant(0.0), l1=l1)
        compression = tfc.Compression(prune, verbose=0)
        history = model.fit(x, y, batch_size=96, epochs=8, verbose=0, callbacks=[compression])
        sums.append((history.history["loss"][0], sum(np.abs(v.numpy()).sum() for v in model.weights[::2])))
    assert sums[1][0] - sums[0][0] == pytest.approx(0.05 * first, rel=1e-3)
    assert sums[1][1] < 0.95 * sums[0][1]


TAPS = {  # the first is the fast tier's
    "three steps a call": {"steps_per_execution": 3},
    "eager": {"run_eagerly": True},
    "xla": {"jit_compile": True},
}


@pytest.mark.parametrize("name", TAPS)
def test_gradient_taps_note_the_gradient_of_the_loss(name, dense_net, points):
    """With plain SGD the noted gradients are those that moved the weights: sum(-w * g)."""
    x, y = points
    rate, kernels = 0.01, []
    prune = tfc.Prune(tfc.schedules.constant(0.0), criterion="movement")
    compression = tfc.Compression(prune, verbose=0)
    model = dense_net(keras.optimizers.SGD(rate), **TAPS[name])

    class Keep(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            kernels.append(self.model.layers[0].kernel.numpy())

        def on_train_batch_end(self, batch, logs=None):
            kernels.append(self.model.layers[0].kernel.numpy())

    model.fit(x, y, batch_size=32, epochs=2, verbose=0, callbacks=[compression, Keep()])
    _, _, mask = compression.state.find(ScoredMask)[0]
    assert float(mask.seen) == 6
    score = np.asarray(full_precision(mask.score))
    if len(kernels) == 7:
        moved = sum(a * (b - a) / rate for a, b in zip(kernels, kernels[1:], strict=False))
        np.testing.assert_allclose(score, moved, rtol=1e-3, atol=1e-4)
    else:  # only every third step is seen from outside
        middle = sum(a * (b - a) / rate for a, b in zip(kernels, kernels[1:], strict=False))
        assert np.corrcoef(score.reshape(-1), middle.reshape(-1))[0, 1] > 0.99


@pytest.mark.parametrize("criterion", ["gradient", "movement"])
def test_gradient_criteria_in_mixed_precision_keep_the_law(criterion, points, laws):
    x, y = points
    policy = "mixed_float16"
    model = keras.Sequential(
        [keras.Input((6,)), L.Dense(12, activation="relu", dtype=policy), L.Dense(3, dtype=policy)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, jit_compile=False)
    compression = tfc.Compression(tfc.Prune(0.5, criterion=criterion), verbose=0)
    model.fit(x, y, epochs=3, verbose=0, callbacks=[compression])
    laws(model, compression)
    for _, _, mask in compression.state.find(ScoredMask):
        score = mask.score.numpy()
        assert np.isfinite(score).all() and np.count_nonzero(score) > 0.5 * score.size


@pytest.mark.parametrize("name", TAPS)
def test_learned_ranges_move_by_the_loss(name, dense_net, points, laws):
    """With a rate of 0 a range stays where the first batch put it; with another it moves."""
    x, y = points
    ends = {}
    for rate in (0.0, 0.02):
        keras.utils.set_random_seed(0)
        model = dense_net(**TAPS[name])
        compression = tfc.Compression(tfc.Quantize("int8", ranges="learned"), learning_rate=rate, verbose=0)
        model.fit(x, y, epochs=4, shuffle=False, verbose=0, callbacks=[compression])
        laws(model, compression, x if rate else None, sparsity=0.0)
        assert int(compression.state.optimizer.iterations) == 12
        ends[rate] = np.array([span.limits() for span in compression.state.ranges])
    first = np.abs(x[:32]).max()
    assert np.abs(ends[0.0][0]).max() == pytest.approx(first, rel=1e-4)
    moved = np.abs(ends[0.02] - ends[0.0]).max(axis=1)
    assert np.all(moved > 0.02 * np.abs(ends[0.0]).max(axis=1))


def test_calibration_sets_the_ranges_before_the_first_step(dense_net, points):
    x, y = points
    model = dense_net()
    compression = tfc.Compression(tfc.Quantize("int8"), calibration=x, verbose=0)
    found = []

    class First(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            found.append([span.limits() for span in compression.state.ranges])

    model.fit(x, y, epochs=1, verbose=0, callbacks=[compression, First()])
    assert found[0][0] == pytest.approx((x.min(), x.max()), rel=1e-5)
    assert all(high > 0.1 for _, high in found[0])
