"""Hooks lie on layers only while a step function runs, whatever ends the training."""

import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfcompress as tfc

pytestmark = pytest.mark.sampled(3)

TECHNIQUES = [tfc.Prune(0.5), tfc.Quantize("int8")]


class Look(keras.callbacks.Callback):
    """Notes what lies on the model at every event."""

    def __init__(self, hooks):
        super().__init__()
        self.hooks, self.found, self.events = hooks, [], 0

    def _look(self, *args, **kwargs):
        self.events += 1
        self.found += self.hooks(self.model)

    on_train_begin = on_epoch_begin = on_train_batch_begin = on_train_batch_end = _look
    on_test_batch_end = on_epoch_end = on_train_end = _look


class Stop(keras.callbacks.Callback):
    """Raises in the middle of the second epoch."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations >= 5:
            raise self.error("stop")


def new(dense_net, **options):
    """A model and a compression for it."""
    return dense_net(**options), tfc.Compression(TECHNIQUES, verbose=0)


def assert_plain(model, x, y, hooks):
    """Predict, evaluate and train equal those of a twin that never met a compression."""
    twin = keras.models.clone_model(model)
    twin.compile(keras.optimizers.SGD(0.1), model.loss)
    twin.set_weights(model.get_weights())
    model.compile(keras.optimizers.SGD(0.1), model.loss)  # the optimizer of the twin, with a fresh state
    np.testing.assert_array_equal(model.predict(x, verbose=0), twin.predict(x, verbose=0))
    assert model.evaluate(x, y, verbose=0) == twin.evaluate(x, y, verbose=0)
    for m in (model, twin):
        m.fit(x, y, epochs=2, shuffle=False, verbose=0)
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert hooks(model) == []


@pytest.mark.parametrize("options", [{}, {"run_eagerly": True}, {"jit_compile": True}], ids=str)
def test_nothing_lies_on_layers_between_steps(options, dense_net, points, hooks):
    x, y = points
    model, compression = new(dense_net, **options)
    look = Look(hooks)
    model.fit(x, y, epochs=2, verbose=0, validation_data=(x, y), callbacks=[look, compression])
    assert look.events > 10 and look.found == []
    assert hooks(model) == []


def test_hooks_do_lie_there_inside_a_step(dense_net, points, hooks):
    """The law above is worth something: within the call of a layer its override is seen."""
    x, y = points
    model, compression = new(dense_net, run_eagerly=True)
    seen = []

    def loss(y_true, y_pred):
        seen.extend(hooks(model))
        return tf.reduce_mean(y_pred)

    model.compile("sgd", loss, run_eagerly=True)
    model.fit(x, y, epochs=1, verbose=0, callbacks=[compression])
    assert {"hidden.call", "head.call"} <= set(seen)


def test_a_later_plain_fit_is_plain(dense_net, points, hooks):
    x, y = points
    model, compression = new(dense_net)
    model.fit(x, y, epochs=1, verbose=0, callbacks=[compression])
    assert model.train_function is None and model.predict_function is None
    assert_plain(model, x, y, hooks)
    assert int((model.layers[0].kernel.numpy() == 0).sum()) < 36  # trained on without the mask


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_after_an_exception_everything_is_plain(error, dense_net, points, hooks):
    x, y = points
    model, compression = new(dense_net, optimizer="sgd")
    with pytest.raises(error):
        model.fit(x, y, epochs=4, verbose=0, callbacks=[compression, Stop(error)])
    assert hooks(model) == []
    # not compiled anew: the step functions of the broken fit are still the model's
    plain = keras.ops.convert_to_numpy(model(x))
    np.testing.assert_allclose(model.predict(x, verbose=0), plain, rtol=1e-5, atol=1e-6)
    before = model.get_weights()
    model.optimizer.learning_rate = 0.0
    model.fit(x, y, epochs=1, verbose=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert int(compression.state.ranges[0].seen) == 5  # a plain fit moves no range
    assert_plain(model, x, y, hooks)


def test_the_very_next_fit_after_an_exception_is_plain(dense_net, points, hooks):
    """The frame of the next fit may lie where that of the broken one lay."""
    x, y = points
    model, compression = new(dense_net)

    def train(*callbacks):
        model.fit(x, y, epochs=4, verbose=0, callbacks=[*callbacks])

    try:
        train(compression, Stop(RuntimeError))
    except RuntimeError:
        pass
    seen = float(compression.state.ranges[0].seen)
    for _ in range(5):
        train()
    assert float(compression.state.ranges[0].seen) == seen
    assert int((model.layers[0].kernel.numpy() == 0).sum()) < 5


@pytest.mark.parametrize("end", ["finish", "convert", "fit"])
def test_after_an_exception_finish_convert_or_fit_go_on(end, dense_net, points, laws):
    x, y = points
    model, compression = new(dense_net)
    with pytest.raises(RuntimeError):
        model.fit(x, y, epochs=4, verbose=0, callbacks=[compression, Stop(RuntimeError)])
    assert (compression.clock.step, compression.clock.total) == (5, 12)
    if end == "finish":
        assert compression.finish() is model
    elif end == "convert":
        assert compression.convert(calibration=x[:32]).is_integer
    else:
        model.fit(x, y, epochs=4, verbose=0, callbacks=[compression])
        assert (compression.clock.step, compression.clock.total) == (17, 12)
    laws(model, compression)


def test_an_exception_in_a_generator(dense_net, points, hooks, laws):
    x, y = points

    def batches():
        for k in range(4):
            yield x[k * 8 : k * 8 + 8], y[k * 8 : k * 8 + 8]
        raise OSError("the disk is gone")

    model, compression = new(dense_net)
    with pytest.raises(Exception, match="the disk is gone"):
        model.fit(batches(), epochs=3, verbose=0, callbacks=[compression])
    assert hooks(model) == []
    compression.finish()
    laws(model, compression)
    assert_plain(model, x, y, hooks)


def test_an_exception_inside_the_step(dense_net, points, hooks):
    """A batch of the wrong width breaks the call of a layer while its override lies there."""
    x, y = points

    def batches():
        yield x[:8], y[:8]
        yield x[:8, :5], y[:8]

    model, compression = new(dense_net)
    with pytest.raises(ValueError, match="expected axis"):
        model.compile("sgd", model.loss, run_eagerly=True)
        model.fit(batches(), epochs=3, verbose=0, callbacks=[compression])
    assert hooks(model) == []
    compression.finish()
    assert int((model.layers[0].kernel.numpy() == 0).sum()) == 36


@pytest.mark.slow
def test_a_broken_fit_holds_no_data_in_memory(dense_net, points):
    x, y = points
    model, compression = new(dense_net)
    data = x.copy()
    alive = weakref.ref(data)
    try:
        model.fit(data, y, epochs=4, verbose=0, callbacks=[compression, Stop(RuntimeError)])
    except RuntimeError:
        pass
    del data
    gc.collect()
    assert alive() is None


def test_predict_in_a_callback_during_fit_sees_the_compressed_model(dense_net, points):
    x, y = points
    model, compression = new(dense_net)
    gaps, plain = [], []

    class Predict(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            simulated = compression.predict(x)
            gaps.append(np.mean(np.abs(self.model.predict(x, verbose=0) - simulated)))
            plain.append(np.mean(np.abs(keras.ops.convert_to_numpy(self.model(x)) - simulated)))

    model.fit(x, y, epochs=2, verbose=0, callbacks=[compression, Predict()])
    # a value on the edge of two codes may round to the other one in a batch of another size
    assert len(gaps) == 6 and max(gaps) < 1e-3
    assert min(plain) > 5e-3


def test_convert_inside_fit_is_refused(dense_net, points, laws):
    x, y = points
    model, compression = new(dense_net)

    class TooSoon(keras.callbacks.Callback):
        said = None

        def on_epoch_end(self, epoch, logs=None):
            with pytest.raises(RuntimeError, match="after fit") as found:
                compression.convert(calibration=x[:32])
            self.said = str(found.value)

    callback = TooSoon()
    model.fit(x, y, epochs=2, verbose=0, callbacks=[callback, compression])
    assert "on_train_end" in callback.said
    laws(model, compression)


@pytest.mark.parametrize("is_first", [True, False])
def test_convert_when_training_ends_is_welcome(is_first, dense_net, points, laws):
    x, y = points
    model, compression = new(dense_net)
    made = []

    class Ship(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            made.append(compression.convert(calibration=x[:32]))

    order = [Ship(), compression] if is_first else [compression, Ship()]
    model.fit(x, y, epochs=2, verbose=0, callbacks=order)
    laws(model, compression)
    assert made[0].content == compression.convert(calibration=x[:32]).content


def test_two_compressions_in_one_training_are_refused(dense_net, points):
    x, y = points
    two = [tfc.Compression(tfc.Prune(0.5), verbose=0), tfc.Compression(tfc.Cluster(4), verbose=0)]
    with pytest.raises(ValueError, match="techniques of both"):
        dense_net().fit(x, y, verbose=0, callbacks=two)


def test_a_callback_given_without_a_list(dense_net, points, laws):
    """Keras dispatches the callbacks of a bare callback in threads of its own."""
    x, y = points
    model, compression = new(dense_net)
    model.fit(x, y, epochs=3, verbose=0, callbacks=compression)
    assert (compression.clock.step, compression.clock.total) == (9, 9)
    laws(model, compression)


def test_a_training_loop_written_by_hand(dense_net, points, laws, hooks):
    x, y = points
    model, compression = new(dense_net)
    callbacks = keras.callbacks.CallbackList([compression], model=model, epochs=2, steps=3)
    callbacks.on_train_begin()
    for epoch in range(2):
        callbacks.on_epoch_begin(epoch)
        for k in range(3):
            model.train_on_batch(x[k * 32 : k * 32 + 32], y[k * 32 : k * 32 + 32])
        callbacks.on_epoch_end(epoch, {})
    callbacks.on_train_end({})
    assert compression.clock.step == 6
    laws(model, compression)
    assert_plain(model, x, y, hooks)


class Replace(keras.callbacks.Callback):
    """Puts a train function of its own on the model, past every hook."""

    def on_epoch_begin(self, epoch, logs=None):
        self.model.make_train_function(force=True)


@pytest.mark.parametrize("is_first", [True, False])
def test_a_new_train_function_inside_a_fit_is_followed(dense_net, points, laws, is_first):
    model, compression = new(dense_net)
    order = [Replace(), compression] if is_first else [compression, Replace()]
    model.fit(*points, epochs=2, verbose=0, callbacks=order)
    assert compression.notes == [] and compression.clock.step == 6
    assert all(float(span.seen) == 6 for span in compression.state.ranges)
    laws(model, compression)


def test_a_function_that_wraps_ours_stays(dense_net, points, laws):
    model, compression = new(dense_net)
    calls = []

    class Watch(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            inner = self.model.train_function

            def watched(iterator):
                calls.append(1)
                return inner(iterator)

            self.model.train_function = watched

    model.fit(*points, epochs=2, verbose=0, callbacks=[compression, Watch()])
    assert len(calls) == 6 and compression.clock.step == 6
    laws(model, compression)


@pytest.mark.slow
def test_the_step_is_traced_once(dense_net, points):
    """Variables that an optimizer makes inside its first step have TensorFlow trace the whole of it twice."""
    traced = []

    def loss(y_true, y_pred):
        traced.append(1)
        return tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True))

    counts = []
    for callbacks in ([], [tfc.Compression(TECHNIQUES, verbose=0)]):
        model = dense_net()
        model.compile("adam", loss, jit_compile=False)
        traced.clear()
        model.fit(*points, epochs=1, verbose=0, callbacks=callbacks)
        counts.append(len(traced))
    assert counts == [2, 1]
