"""Other callbacks, before and behind ours: what they save, read or put back is compressed."""

import csv

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfcompress as tfc

pytestmark = pytest.mark.sampled(3)

ORDERS = pytest.mark.parametrize("is_first", [True, False], ids=["ours first", "ours last"])
HALF = [tfc.Prune(0.5), tfc.Quantize("int8")]


def ordered(compression, others, is_first):
    """The list in one of the two orders."""
    return [compression, *others] if is_first else [*others, compression]


def zeros(model):
    """Zeros of the two kernels (72 and 36 weights)."""
    return [int((layer.kernel.numpy() == 0).sum()) for layer in model.layers]


class Worse(keras.callbacks.Callback):
    """Makes the epochs after the second look worse and worse to those behind it."""

    def on_epoch_end(self, epoch, logs=None):
        logs["score"] = float(abs(epoch - 1))


@ORDERS
def test_early_stopping_puts_weights_back_and_they_are_treated(is_first, dense_net, points, laws):
    x, y = points
    model = dense_net()
    kept = {}

    class Keep(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            kept[epoch] = self.model.get_weights()

    compression = tfc.Compression(HALF, verbose=0)
    stopping = keras.callbacks.EarlyStopping("score", mode="min", patience=3, restore_best_weights=True)
    callbacks = ordered(compression, [Worse(), stopping, Keep()], is_first)
    model.fit(x, y, epochs=20, verbose=0, callbacks=callbacks)
    assert max(kept) == 4  # stopped
    laws(model, compression, x)
    # biases are nobody's business: they show that the weights are those of the best epoch
    np.testing.assert_array_equal(model.layers[0].bias.numpy(), kept[1][1])
    best = kept[1][0]
    chosen = model.layers[0].kernel.numpy()
    np.testing.assert_array_equal(chosen[chosen != 0], best[chosen != 0])
    assert any("25% of the schedule" in note for note in compression.notes)
    assert any("restored" in note for note in compression.notes)


@ORDERS
def test_early_stopping_at_the_very_end(is_first, dense_net, points, laws):
    """Trained to the end, yet the best weights are of a time with fewer zeros: the notes say so."""
    x, y = points
    model = dense_net()
    compression = tfc.Compression(HALF, verbose=0)
    stopping = keras.callbacks.EarlyStopping("score", mode="min", patience=9, restore_best_weights=True)
    callbacks = ordered(compression, [Worse(), stopping], is_first)
    model.fit(x, y, epochs=6, verbose=0, callbacks=callbacks)
    laws(model, compression)
    assert not any("of the schedule" in note for note in compression.notes)
    assert any("2 kernels changed" in note for note in compression.notes)


@ORDERS
@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_a_checkpoint_holds_pruned_weights_and_loads_as_plain(is_first, suffix, dense_net, points, tmp_path):
    x, y = points
    model = dense_net()
    path = str(tmp_path / f"{{epoch}}{suffix}")
    checkpoint = keras.callbacks.ModelCheckpoint(
        path, "score", mode="max", save_best_only=True, save_weights_only=suffix == ".weights.h5"
    )
    compression = tfc.Compression(tfc.Prune(tfc.schedules.linear(0.0, 0.5, stop=0.4)), verbose=0)
    callbacks = ordered(compression, [Worse(), checkpoint], is_first)
    model.fit(x, y, epochs=5, verbose=0, callbacks=callbacks)
    assert sorted(p.name.split(".")[0] for p in tmp_path.iterdir()) == ["1", "4", "5"]
    if suffix == ".keras":
        loaded = keras.models.load_model(str(path).format(epoch=4))
        assert type(loaded.layers[0]) is keras.layers.Dense
    else:
        loaded = dense_net()
        loaded.optimizer.build(loaded.trainable_variables)
        loaded.load_weights(str(path).format(epoch=4))
    assert zeros(loaded) == [36, 18]
    assert len(loaded.weights) == 4


@ORDERS
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_a_checkpoint_of_a_generator_holds_pruned_weights(is_first, dense_net, points, tmp_path):
    """Nobody knows that a step is the last of its epoch, and still the file has the zeros."""
    x, y = points
    data = tf.data.Dataset.from_generator(
        lambda: ((x[k : k + 16], y[k : k + 16]) for k in range(0, 64, 16)),
        output_signature=(tf.TensorSpec((16, 6)), tf.TensorSpec((16,), tf.int64)),
    )
    model = dense_net()
    path = tmp_path / "at{epoch}.keras"
    compression = tfc.Compression(tfc.Prune(tfc.schedules.constant(0.5)), verbose=0)
    callbacks = ordered(compression, [keras.callbacks.ModelCheckpoint(str(path))], is_first)
    model.fit(data, epochs=3, verbose=0, callbacks=callbacks)
    for epoch in (1, 2, 3):
        assert zeros(keras.models.load_model(str(path).format(epoch=epoch))) == [36, 18]


@ORDERS
def test_sparsity_and_ranges_reach_the_logs(is_first, dense_net, points, tmp_path):
    x, y = points
    model = dense_net()
    compression = tfc.Compression(HALF, verbose=0, logs="full")
    others = [keras.callbacks.CSVLogger(tmp_path / "log.csv")]
    history = model.fit(x, y, epochs=4, verbose=0, callbacks=ordered(compression, others, is_first)).history
    with open(tmp_path / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    sparsity = [float(row["sparsity"]) for row in rows]
    assert sparsity == history["sparsity"] == sorted(sparsity)
    assert sparsity[0] > 0.2 and sparsity[-1] == 0.5
    names = ["input 0", "hidden", "head"]
    for name, span in zip(names, compression.state.ranges, strict=True):
        last = tuple(float(rows[-1][f"range/{name}/{end}"]) for end in ("low", "high"))
        assert last == pytest.approx(span.limits()) and last[1] > 0.1


@ORDERS
def test_brief_logs_say_how_far_ranges_moved(is_first, dense_net, points):
    x, y = points
    model, seen = dense_net(), []

    class Limits(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append([span.limits() for span in compression.state.ranges])

    compression = tfc.Compression(HALF, verbose=0)
    history = model.fit(x, y, epochs=4, verbose=0, callbacks=ordered(compression, [Limits()], is_first)).history
    assert set(history) == {"loss", "sparsity", "range_change"}
    bounds = np.asarray(seen)  # (epochs, ranges, 2)
    widths = bounds[1:, :, 1] - bounds[1:, :, 0]
    moved = (np.abs(np.diff(bounds, axis=0)).max(axis=-1) / widths).max(axis=-1)
    assert history["range_change"] == pytest.approx([1.0, *np.minimum(moved, 1.0)], rel=1e-5)
    assert 0 < history["range_change"][-1] < 0.5


def test_other_logs_are_refused():
    with pytest.raises(ValueError, match=r"logs must be one of \('brief', 'full'\).* Received: logs='long'"):
        tfc.Compression(HALF, logs="long")


def test_tensorboard_shows_sparsity_and_ranges(dense_net, points, tmp_path):
    pytest.importorskip("tensorboard")  # TensorFlow no longer brings it
    x, y = points
    model = dense_net()
    board = keras.callbacks.TensorBoard(tmp_path, write_graph=False)
    compression = tfc.Compression(HALF, verbose=0, logs="full")
    model.fit(x, y, epochs=2, verbose=0, callbacks=[board, compression])
    found = {}
    for file in (tmp_path / "train").iterdir():
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            for value in event.summary.value:
                found[value.tag] = float(tf.make_ndarray(value.tensor))
    assert found["epoch_sparsity"] == 0.5
    assert found["epoch_range/head/high"] == pytest.approx(compression.state.ranges[-1].limits()[1])


@ORDERS
def test_reduce_lr_on_plateau_reads_the_sparsity_and_acts(is_first, dense_net, points, laws):
    x, y = points
    model = dense_net(keras.optimizers.SGD(1e-3))
    reduce = keras.callbacks.ReduceLROnPlateau("sparsity", mode="max", factor=0.1, patience=1)
    compression = tfc.Compression(HALF, verbose=0)
    model.fit(x, y, epochs=4, verbose=0, callbacks=ordered(compression, [reduce], is_first))
    # sparsity grows for two epochs (the ramp ends half-way), then stands still for two
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-5)
    laws(model, compression)


def test_validation_during_fit_sees_the_compressed_model(dense_net, points):
    from tfcompress.fake_quant.forward_pass import Mode
    from tfcompress.fake_quant.patching import patched_calls

    x, y = points
    seen, plain = [], []

    class Compare(keras.callbacks.Callback):
        """Evaluates by hand, with the same state and the same weights."""

        def on_epoch_end(self, epoch, logs=None):
            loss = self.model.loss
            with patched_calls(self.model, compression.state, Mode.TEST):
                under = float(loss(y, self.model(x, training=False)))
            seen.append((logs["val_loss"], under))
            plain.append(float(loss(y, self.model(x, training=False))))

    # few bits and a late ramp, so that compressed and plain differ a lot
    ramp = tfc.schedules.linear(0.0, 0.9, begin=0.0, stop=1.0)
    compression = tfc.Compression([tfc.Prune(ramp), tfc.Quantize("w2a8")], verbose=0)
    model = dense_net()
    model.fit(x, y, epochs=3, verbose=0, validation_data=(x, y), callbacks=[compression, Compare()])
    for (got, under), float_loss in zip(seen, plain, strict=True):
        assert got == pytest.approx(under, rel=2e-3)
        assert abs(got - float_loss) > 0.01
    assert len(seen) == 3


def test_evaluate_inside_fit_leaves_validation_alone(dense_net, points):
    x, y = points
    model = dense_net()
    compression = tfc.Compression([tfc.Prune(0.5), tfc.Quantize("w2a8")], verbose=0)
    found = []

    class Evaluate(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            found.append((compression.evaluate(x, y, verbose=0), logs["val_loss"]))

    model.fit(x, y, epochs=3, verbose=0, validation_data=(x, y), callbacks=[compression, Evaluate()])
    # logits at the end and no BatchNormalization: the file's simulation is what validation saw
    for simulated, validated in found:
        assert simulated == pytest.approx(validated, rel=2e-3)
