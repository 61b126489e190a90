"""A training that was cut off goes on, from a backup or a checkpoint, in new objects."""

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.fake_quant.transforms.centroids import Centroids
from tfcompress.fake_quant.transforms.mask import Mask

pytestmark = pytest.mark.sampled(4)

ORDERS = pytest.mark.parametrize("is_first", [True, False], ids=["ours first", "ours last"])


def recipe():
    """Everything that has state; the clusters begin and the ramp ends in the middle."""
    return tfc.Compression(
        [tfc.Prune(0.5), tfc.Cluster(4, begin=0.25), tfc.Quantize("int8")],
        update_every=2,
        verbose=0,
    )


class Cut(keras.callbacks.Callback):
    """Ends a training as a power cut would, in the middle of an epoch."""

    def __init__(self, epoch, batch):
        super().__init__()
        self.at = (epoch, batch)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            raise InterruptedError


def train(model, compression, points, others=(), is_first=True, epochs=4):
    """Without shuffling, so that two trainings see the same batches."""
    x, y = points
    callbacks = [compression, *others] if is_first else [*others, compression]
    return model.fit(x, y, epochs=epochs, shuffle=False, verbose=0, callbacks=callbacks)


def facts(compression):
    """Everything the state remembers."""
    return [v.numpy() for v in compression.state.variables]


def assert_same(one, two):
    """Two compressions and their models agree in every number."""
    for a, b in zip(facts(one), facts(two), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    for a, b in zip(one.finish().get_weights(), two.finish().get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@ORDERS
@pytest.mark.parametrize("epoch", [1, 3])
def test_backup_and_restore_equals_the_uninterrupted_training(is_first, epoch, dense_net, points, tmp_path):
    """Weights, optimizer, masks, clusters, ranges and schedule go on, as in a new process."""
    keras.utils.set_random_seed(3)
    whole, reference = dense_net(), recipe()
    start = whole.get_weights()
    train(whole, reference, points)

    def backup():
        return keras.callbacks.BackupAndRestore(tmp_path / "backup")

    first = dense_net()
    first.set_weights(start)
    with pytest.raises(InterruptedError):
        train(first, recipe(), points, [backup(), Cut(epoch, 1)], is_first)

    second, compression = dense_net(), recipe()  # other random weights
    steps = []

    class Steps(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            steps.append((epoch, compression.clock.step, compression.clock.progress))

    train(second, compression, points, [backup(), Steps()], is_first)
    assert steps[0] == (epoch, 3 * epoch, epoch / 4)
    assert (compression.clock.step, compression.clock.total) == (12, 12)
    assert_same(compression, reference)


@ORDERS
def test_backup_in_the_middle_of_an_epoch(is_first, dense_net, points, laws, tmp_path):
    """Keras repeats the epoch; the schedule goes on from the step that was saved."""

    def backup():
        return keras.callbacks.BackupAndRestore(tmp_path / "backup", save_freq=2)

    first = recipe()
    with pytest.raises(InterruptedError):
        train(dense_net(), first, points, [backup(), Cut(2, 2)], is_first)
    model, compression = dense_net(), recipe()
    begun = []

    class Begun(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            begun.append((compression.clock.step, compression.clock.total))

    train(model, compression, points, [backup(), Begun()], is_first)
    assert begun[0] == (8, 12)
    laws(model, compression)


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_resume_from_a_checkpoint(suffix, dense_net, points, tmp_path):
    path = tmp_path / f"at{{epoch}}{suffix}"
    whole, reference = dense_net(), recipe()
    checkpoint = keras.callbacks.ModelCheckpoint(path, save_weights_only=suffix == ".weights.h5")
    train(whole, reference, points, [checkpoint])

    compression = recipe()
    if suffix == ".keras":
        model = keras.models.load_model(str(path).format(epoch=2))
        compression.resume(model, str(path).format(epoch=2))
    else:
        model = dense_net()  # its optimizer is not built yet
        compression.resume(model, str(path).format(epoch=2))
    assert (compression.clock.step, compression.clock.total, compression.clock.progress) == (
        6,
        12,
        0.5,
    )
    assert all(float(span.seen) == 6 for span in compression.state.ranges)
    assert all(float(c.active) == 1 for _, _, c in compression.state.find(Centroids))
    x, y = points
    model.fit(x, y, initial_epoch=2, epochs=4, shuffle=False, verbose=0, callbacks=[compression])
    assert_same(compression, reference)


def test_a_plain_checkpoint_leaves_the_state_as_it_is(dense_net, points, tmp_path):
    """Weights that were trained without compression are a fine start."""
    x, y = points
    plain = dense_net()
    plain.fit(x, y, epochs=1, verbose=0)
    plain.save_weights(tmp_path / "plain.weights.h5")
    model, compression = dense_net(), recipe()
    compression.resume(model, tmp_path / "plain.weights.h5")
    np.testing.assert_array_equal(model.layers[0].kernel.numpy(), plain.layers[0].kernel.numpy())
    assert compression.clock.step == 0
    assert all(np.all(m.mask.numpy() == 1) for _, _, m in compression.state.find(Mask))


def test_a_checkpoint_of_a_compression_loads_into_a_plain_model(dense_net, points, tmp_path):
    model, compression = dense_net(), recipe()
    train(model, compression, points)
    model.save_weights(tmp_path / "c.weights.h5")
    plain = dense_net()
    plain.optimizer.build(plain.trainable_variables)
    plain.load_weights(tmp_path / "c.weights.h5")
    np.testing.assert_array_equal(plain.layers[0].kernel.numpy(), model.layers[0].kernel.numpy())


def test_a_second_fit_goes_on(dense_net, points, laws):
    """The schedule is over, so masks and clusters stay; the weights that are left train on."""
    model, compression = dense_net(), recipe()
    train(model, compression, points)
    masks = [m.mask.numpy() for _, _, m in compression.state.find(Mask)]
    before, seen = model.get_weights(), float(compression.state.ranges[0].seen)
    train(model, compression, points, epochs=2)
    for mask, (_, _, m) in zip(masks, compression.state.find(Mask), strict=True):
        np.testing.assert_array_equal(m.mask.numpy(), mask)
    assert np.abs(model.get_weights()[0] - before[0]).max() > 1e-4
    assert float(compression.state.ranges[0].seen) == seen + 6
    assert (compression.clock.step, compression.clock.total) == (18, 12)
    assert len(np.unique(model.layers[0].kernel.numpy())) <= 5
    laws(model, compression, points[0])
    assert compression.notes == []


def test_a_second_fit_after_early_stopping_goes_on(dense_net, points, laws):
    model, compression = dense_net(), recipe()
    stopping = keras.callbacks.EarlyStopping("loss", mode="max", patience=2)
    train(model, compression, points, [stopping], epochs=8)
    assert compression.clock.step == 9 and compression.clock.is_over
    laws(model, compression)
    train(model, compression, points, epochs=1)
    laws(model, compression)


def test_the_same_compression_on_another_model_begins_anew(dense_net, points, laws):
    compression = recipe()
    for _ in range(2):
        model = dense_net()
        train(model, compression, points, epochs=2)
        assert compression.clock.step == 6
        laws(model, compression)


def test_learned_ranges_and_their_optimizer_go_on(dense_net, points, tmp_path):
    def learned():
        return tfc.Compression(tfc.Quantize("int8", ranges="learned"), learning_rate=0.01, verbose=0)

    keras.utils.set_random_seed(3)
    whole, reference = dense_net(), learned()
    start = whole.get_weights()
    train(whole, reference, points)
    first, second, compression = dense_net(), dense_net(), learned()
    first.set_weights(start)
    backup = keras.callbacks.BackupAndRestore(tmp_path)
    with pytest.raises(InterruptedError):
        train(first, learned(), points, [backup, Cut(2, 0)])
    train(second, compression, points, [keras.callbacks.BackupAndRestore(tmp_path)])
    assert int(compression.state.optimizer.iterations) == 12
    assert_same(compression, reference)
