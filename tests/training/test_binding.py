"""Trainers that hold networks: the network that was named is compressed, nothing else."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfcompress as tfc

L = keras.layers
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def net(name=None):
    return keras.Sequential([keras.Input((6,)), L.Dense(12, activation="relu"), L.Dense(3)], name=name)


class Trainer(keras.Model):
    """Two networks that learn the same, and no call."""

    def __init__(self, one, two):
        super().__init__()
        self.one, self.nets = one, {"two": two}
        self.tracker = keras.metrics.Mean(name="loss")

    @property
    def metrics(self):
        return [self.tracker]

    def train_step(self, data):
        x, y = data
        for net in (self.one, self.nets["two"]):
            with tf.GradientTape() as tape:
                loss = LOSS(y, net(x, training=True))
            gradients = tape.gradient(loss, net.trainable_weights)
            for g, w in zip(gradients, net.trainable_weights, strict=True):
                w.assign_sub(0.1 * g)
            self.tracker.update_state(loss)
        return {"loss": self.tracker.result()}

    def test_step(self, data):
        x, y = data
        self.tracker.update_state(LOSS(y, self.one(x, training=False)))
        return {"loss": self.tracker.result()}


def trainer():
    made = Trainer(net("one"), net("two"))
    made.compile("sgd", jit_compile=False)
    return made


def zeros(model):
    return [int((layer.kernel.numpy() == 0).sum()) for layer in model.layers]


def test_the_named_network_is_compressed(points, file_agrees, hooks):
    t = trainer()
    compression = tfc.Compression([tfc.Prune(0.5), tfc.Quantize("int8", ranges="learned")], verbose=0)
    compression.set_model(t.one)
    history = t.fit(*points, epochs=3, verbose=0, validation_data=points, callbacks=[compression]).history
    assert zeros(t.one) == [36, 18] and zeros(t.nets["two"]) == [0, 0]
    assert compression.clock.step == 9 and compression.notes == [] and history["sparsity"][-1] == 0.5
    assert all(float(span.seen) == 9 for span in compression.state.ranges)
    assert compression.evaluate(*points, verbose=0) == pytest.approx(history["val_loss"][-1], rel=0.02)
    file_agrees(compression, points[0])
    assert compression.finish() is t.one and hooks(t) == [] and hooks(t.one) == []
    seen = float(compression.state.ranges[0].seen)
    t.fit(*points, epochs=1, verbose=0)
    assert float(compression.state.ranges[0].seen) == seen  # a later fit is plain


def test_several_networks_with_a_compression_each(points, file_agrees):
    t = trainer()
    mine = tfc.Compression([tfc.Prune(0.5), tfc.Quantize("int8", ranges="learned")], verbose=0)
    other = tfc.Compression([tfc.Prune(0.25), tfc.Quantize("int8")], verbose=0)
    mine.set_model(t.one)
    other.set_model(t.nets["two"])
    history = t.fit(*points, epochs=3, verbose=0, callbacks=[mine, other]).history
    assert zeros(t.one) == [36, 18] and zeros(t.nets["two"]) == [18, 9]
    assert history["one/sparsity"][-1] == 0.5 and history["two/sparsity"][-1] == 0.25
    for compression in (mine, other):
        assert compression.clock.step == 9 and compression.notes == []
        file_agrees(compression, points[0])


def test_a_sessions_model_in_a_trainer(points):
    session = tfc.compress(net(), [tfc.Prune(0.5), tfc.Quantize("int8")], verbose=0)
    t = Trainer(session.model, net("two"))
    t.compile(jit_compile=False)
    t.fit(*points, epochs=2, verbose=0, callbacks=session.callbacks)
    kernels = [layer.kernel.numpy() for layer in session.finish().layers if hasattr(layer, "kernel")]
    assert [int((k == 0).sum()) for k in kernels] == [36, 18] and session.callback.clock.step == 6


def test_a_trainer_without_call_asks_for_the_network_before_training(points):
    t = trainer()
    before = t.one.get_weights()
    with pytest.raises(ValueError, match=r"no call\(\) .*'one'.*'two'.*compression.set_model\(trainer.one\)"):
        t.fit(*points, verbose=0, callbacks=[tfc.Compression(tfc.Prune(0.5), verbose=0)])
    for a, b in zip(before, t.one.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_two_compressions_of_the_same_network_are_refused(points):
    t = trainer()
    two = [tfc.Compression(tfc.Prune(0.5), verbose=0) for _ in range(2)]
    for compression in two:
        compression.set_model(t.one)
    with pytest.raises(ValueError, match="same layers.*compression.set_model"):
        t.fit(*points, verbose=0, callbacks=two)


def test_a_network_that_is_not_built_is_refused(points):
    t = Trainer(keras.Sequential([L.Dense(3)], name="bare"), net("two"))
    t.compile(jit_compile=False)
    compression = tfc.Compression(tfc.Prune(0.5), verbose=0)
    compression.set_model(t.one)
    with pytest.raises(ValueError, match="'bare' inside .* is not built"):
        t.fit(*points, verbose=0, callbacks=[compression])


def test_a_backup_of_the_trainer_resumes_the_network(points, tmp_path):
    def parts():
        t = trainer()
        compression = tfc.Compression([tfc.Prune(0.5), tfc.Quantize("int8")], verbose=0)
        compression.set_model(t.one)
        t.built = True  # what Keras wants of a model that is backed up
        return t, compression

    class Cut(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 2:
                raise InterruptedError

    backup = keras.callbacks.BackupAndRestore(tmp_path)
    t, compression = parts()
    with pytest.raises(InterruptedError):
        t.fit(*points, epochs=4, verbose=0, callbacks=[compression, Cut(), backup])
    t, compression = parts()
    t.fit(*points, epochs=4, verbose=0, callbacks=[compression, keras.callbacks.BackupAndRestore(tmp_path)])
    assert (compression.clock.step, compression.clock.total) == (12, 12) and zeros(t.one) == [36, 18]
