"""Loops written by hand: three lines make them trainings under compression."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfcompress as tfc

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
ALL = [tfc.Prune(0.5), tfc.Cluster(4, begin=0.5), tfc.Quantize("int8", ranges="learned")]


def train(model, points, step, steps=12, wrap=lambda f: f):
    """A loop with a tape, as people write it."""
    x, y = points
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(model.trainable_variables)

    def one(a, b):
        with tf.GradientTape() as tape:
            loss = LOSS(b, model(a, training=True))
        optimizer.apply_gradients(
            zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables, strict=True)
        )

    one = wrap(one)
    for k in range(steps):
        at = 32 * (k % 3)
        one(x[at : at + 32], y[at : at + 32])
        step()


def zeros(model):
    return [int((layer.kernel.numpy() == 0).sum()) for layer in model.layers if hasattr(layer, "kernel")]


@pytest.mark.parametrize("wrap", [lambda f: f, tf.function], ids=["eager", "graph"])
def test_a_tape_in_place(points, dense_net, wrap, laws, hooks):
    model, compression = dense_net(), tfc.Compression(ALL, verbose=0)
    compression.set_model(model)
    with compression.training(epochs=4, steps=3):
        train(model, points, compression.step, wrap=wrap)
    assert (compression.clock.step, compression.clock.total) == (12, 12) and compression.notes == []
    assert all(float(span.seen) == 12 for span in compression.state.ranges)
    assert int(compression.state.optimizer.iterations) == 12
    assert len(np.unique(model.layers[0].kernel.numpy())) <= 5
    laws(model, compression, points[0])
    assert hooks(model) == []


def test_a_tape_around_a_session(points, dense_net):
    session = tfc.compress(dense_net(), [tfc.Prune(0.5), tfc.Quantize("int8")], verbose=0)
    with session.training(epochs=4, steps=3):
        train(session.model, points, session.step)
    assert session.callback.clock.step == 12 and session.callback.notes == []
    assert zeros(session.finish()) == [36, 18]
    artifact = session.convert(calibration=points[0])
    gap = np.abs(artifact.predict(points[0]) - session.predict(points[0])).max()
    assert gap <= artifact.outputs[0].scale * 1.001


def test_train_on_batch(points, dense_net, laws):
    """Also where Keras made its function before the block."""
    x, y = points
    model, compression = dense_net(), tfc.Compression([tfc.Prune(0.5, l1=1e-3), tfc.Quantize("int8")], verbose=0)
    compression.set_model(model)
    model.train_on_batch(x[:32], y[:32])
    with compression.training(steps=6):
        for _ in range(6):
            model.train_on_batch(x[:32], y[:32])
            compression.step()
    laws(model, compression, x)
    seen = float(compression.state.ranges[0].seen)
    model.train_on_batch(x[:32], y[:32])
    assert seen == 6 and float(compression.state.ranges[0].seen) == seen


def test_predict_inside_the_block_is_the_file_of_that_moment(points, dense_net):
    x, _ = points
    model, compression = dense_net(), tfc.Compression(tfc.Quantize("w2a8"), verbose=0)
    compression.set_model(model)
    with compression.training(steps=3):
        train(model, points, compression.step, steps=3)
        inside, simulated = np.asarray(model(x, training=False)), compression.predict(x)
    np.testing.assert_allclose(inside, simulated, atol=1e-5)
    np.testing.assert_allclose(compression.predict(x), simulated, atol=1e-6)
    assert np.abs(np.asarray(model(x)) - simulated).max() > 0.05  # outside it is the plain model


def test_an_exception_leaves_nothing_and_the_next_block_goes_on(points, dense_net, hooks, laws):
    model, compression = dense_net(), tfc.Compression([tfc.Prune(0.5), tfc.Quantize("int8")], verbose=0)
    compression.set_model(model)
    with pytest.raises(KeyError), compression.training(epochs=4, steps=3):
        train(model, points, compression.step, steps=5)
        raise KeyError
    assert hooks(model) == [] and not compression.clock.is_over
    with compression.training(epochs=4, steps=3):
        train(model, points, compression.step, steps=7)
    assert (compression.clock.step, compression.clock.total) == (12, 12)
    laws(model, compression)


def test_a_loop_that_never_tells_the_schedule_is_noted(points, dense_net):
    model, compression = dense_net(), tfc.Compression(tfc.Prune(0.5), verbose=0)
    compression.set_model(model)
    with compression.training(steps=3):
        train(model, points, lambda: None, steps=3)
    assert any("no training step ran" in note and "compression.step()" in note for note in compression.notes)
    session = tfc.compress(dense_net(), [tfc.Prune(0.5), tfc.Quantize("int8")], verbose=0)
    train(session.model, points, lambda: None)
    told = session.convert(calibration=points[0]).metadata["notes"]
    assert any("no training step was counted" in note and "compression.training" in note for note in told)


def test_simulation_without_ranges_is_refused_or_calibrated(points, dense_net):
    x, y = points
    model, compression = dense_net(), tfc.Compression(tfc.Quantize("int8"), verbose=0)
    compression.set_model(model)
    for call in (lambda: compression.predict(x), lambda: compression.evaluate(x, y, verbose=0)):
        with pytest.raises(ValueError, match="seen no data yet.*calibration"):
            call()
    calibrated = tfc.Compression(tfc.Quantize("int8"), calibration=x, verbose=0)
    calibrated.set_model(model)
    np.testing.assert_allclose(calibrated.predict(x), model.predict(x, verbose=0), atol=0.05)
    session = tfc.compress(model, tfc.Quantize("int8"), verbose=0)
    # the layers of a session round by what they see as long as no range is known
    np.testing.assert_allclose(session.model.predict(x, verbose=0), model.predict(x, verbose=0), atol=0.05)


@pytest.mark.parametrize(("value", "error"), [(0, ValueError), (None, TypeError), (2.5, TypeError), (True, TypeError)])
def test_numbers_of_steps_are_checked(value, error, dense_net):
    compression = tfc.Compression(tfc.Prune(0.5), verbose=0)
    with pytest.raises(ValueError, match="no model yet"):
        compression.training(steps=3)
    compression.set_model(dense_net())
    with pytest.raises(error, match="Compression.training: steps must be"):
        compression.training(steps=value)
    with pytest.raises(RuntimeError, match="belongs into"):
        compression.step()


def test_fit_finish_and_a_second_block_inside_a_block_are_refused(points, dense_net):
    model, compression = dense_net(), tfc.Compression(tfc.Prune(0.5), verbose=0)
    compression.set_model(model)
    with pytest.raises(RuntimeError, match="Use one of them"), compression.training(steps=3):
        for call in (compression.finish, lambda: compression.training(steps=1)):
            with pytest.raises(RuntimeError):
                call()
        model.fit(*points, verbose=0, callbacks=[compression])


def test_a_function_traced_before_the_block_is_warned_of(points, dense_net):
    model, x = dense_net(), points[0][:32]
    call = tf.function(lambda a: model(a, training=True))
    call(x)
    compression = tfc.Compression(ALL, verbose=0)
    compression.set_model(model)
    with pytest.warns(UserWarning, match="no layer of .* was called.*traced before the block"):
        with compression.training(epochs=1, steps=2):
            call(x)
            compression.step()
