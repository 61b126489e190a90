"""One run under a callback, a session and a loop: the same object, whoever runs the steps."""

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.training.carriers import LiveLayers, WrapperLayers
from tfcompress.training.run import CompressionRun
from tfcompress.training.runners.loop import Loop

RECIPE = [tfc.Prune(0.5), tfc.Quantize("int8")]


def test_a_run_needs_no_callback(dense_net, points):
    x, y = points
    model, run = dense_net(), CompressionRun(RECIPE, verbose=0)
    run.bind(model)
    with Loop(run, 2, 3) as given:
        assert given is None
        for k in range(6):
            at = 32 * (k % 3)
            model.train_on_batch(x[at : at + 32], y[at : at + 32])
            run.loop.step()
    assert run.clock.step == 6 and run.clock.is_over and run.loop is None
    assert int((run.finish().layers[0].kernel.numpy() == 0).sum()) == 36
    assert run.convert(calibration=x).is_integer


@pytest.mark.parametrize("form", ["callback", "session"])
def test_attributes_are_born_with_the_run(form, dense_net, points):
    x, y = points
    model = dense_net()
    if form == "session":
        session = tfc.compress(model, RECIPE, verbose=0)
        model, callback = session.model, session.callback
        model.compile("sgd", "sparse_categorical_crossentropy")
    else:
        callback = tfc.Compression(RECIPE, verbose=0)
    born = set(vars(CompressionRun(RECIPE, verbose=0)))
    assert isinstance(callback.run.carrier, WrapperLayers if form == "session" else LiveLayers)
    own = set(vars(callback))
    model.fit(x, y, epochs=1, verbose=0, callbacks=[callback])
    callback.finish()
    callback.convert(calibration=x)
    assert set(vars(callback.run)) == born
    assert set(vars(callback)) <= own | {"params", "_model"}


def test_attributes_of_the_callback_are_those_of_its_run(dense_net):
    compression = tfc.Compression(RECIPE, verbose=0)
    assert compression.plan is compression.clock is compression.network is None and compression.notes == []
    compression.set_model(model := dense_net())
    run = compression.run
    for name in ("plan", "state", "clock", "notes", "recipe", "network", "trained", "file_model", "memories", "laps"):
        assert getattr(compression, name) is getattr(run, name), name
    assert compression.network is compression.file_model is model
    compression.verbose = 1
    assert run.verbose == 1 and (run.seed, run.update_every, run.learning_rate) == (0, None, 1e-3)


@pytest.mark.parametrize("is_first", [True, False])
def test_a_session_and_a_callback_for_the_same_layers_are_refused(is_first, dense_net, points):
    x, y = points
    session = tfc.compress(dense_net(), RECIPE, verbose=0)
    session.model.compile("sgd", "mse")
    other = tfc.Compression(tfc.Distill(teacher := dense_net()), verbose=0)
    assert teacher.built
    other.run.network = session.model  # set_model refuses a session's model itself
    other.set_model = lambda model: None
    callbacks = [session.callback, other] if is_first else [other, session.callback]
    with pytest.raises(ValueError, match="one Compression for each network"):
        session.model.fit(x, y, verbose=0, callbacks=callbacks)


def test_a_twin_shares_no_notes_and_no_training(dense_net, points):
    x, y = points
    compression = tfc.Compression(RECIPE, verbose=0)
    twins = []

    class Look(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            twins.append(compression.run.twin())

    dense_net().fit(x, y, epochs=1, verbose=0, callbacks=[compression, Look()])
    (twin,) = twins
    assert twin.fit is twin.loop is None and twin.notes is not compression.notes
    assert twin.recipe is not compression.recipe and list(twin.recipe) == list(compression.recipe)
    np.testing.assert_array_equal(twin.seed, compression.seed)
