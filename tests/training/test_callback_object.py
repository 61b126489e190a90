"""The callback leaves any kind of Keras model the object it was, compiled as it was."""

import keras
import numpy as np
import pytest

import tfcompress as tfc

pytestmark = pytest.mark.sampled(3)

L = keras.layers


class Own(keras.Model):
    """Subclassed, with a call of its own."""

    def __init__(self):
        super().__init__()
        self.first, self.second = L.Dense(12, activation="relu"), L.Dense(3)

    def call(self, x):
        return self.second(self.first(x))


class OwnStep(Own):
    """Subclassed, with a train_step of its own."""

    def train_step(self, data):
        import tensorflow as tf

        x, y = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x=x, y=y, y_pred=y_pred)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {"loss": loss}


def functional():
    """Two branches, added."""
    x = inputs = keras.Input((6,))
    x = L.Dense(12, activation="relu")(x)
    y = L.Dense(12)(inputs)
    return keras.Model(inputs, L.Dense(3)(L.Add()([x, y])))


def sequential():
    """Never told its input: fit builds it."""
    return keras.Sequential([L.Dense(12, activation="relu"), L.Dense(3)])


def backbone():
    """A model in a model."""
    inner = keras.Sequential([keras.Input((6,)), L.Dense(12, activation="relu")], name="backbone")
    inputs = keras.Input((6,))
    return keras.Model(inputs, L.Dense(3, name="head")(inner(inputs)))


def compiled(model, **options):
    """Compiles for classes."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, jit_compile=False, **options)
    return model


@pytest.mark.parametrize("make", [functional, sequential, Own, OwnStep, backbone])
def test_every_kind_of_model(make, points, laws):
    x, y = points
    model = compiled(make())
    compression = tfc.Compression([tfc.Prune(0.5), tfc.Quantize("int8")], verbose=0)
    model.fit(x, y, epochs=2, verbose=0, callbacks=[compression])
    laws(model, compression, x)


def test_object_and_compile_state_stay(points, dense_net):
    x, y = points
    model = dense_net(jit_compile=True)
    model.build((None, 6))
    before = [model.optimizer, model.loss, model._compile_metrics, *model.weights, *model.layers]
    names = [m.name for m in model.metrics]
    compression = tfc.Compression([tfc.Prune(0.5), tfc.Quantize("int8")], verbose=0)
    history = model.fit(x, y, epochs=2, verbose=0, callbacks=[compression])
    after = [model.optimizer, model.loss, model._compile_metrics, *model.weights, *model.layers]
    assert all(a is b for a, b in zip(before, after, strict=True))
    assert [m.name for m in model.metrics] == names
    assert model.jit_compile is True and model.run_eagerly is False
    assert history.model is model and compression.finish() is model
    assert int(model.optimizer.iterations) == 6


def test_the_finished_model_is_a_plain_keras_file(points, dense_net, tmp_path):
    x, y = points
    model = dense_net()
    compression = tfc.Compression([tfc.Prune(0.5), tfc.Quantize("int8")], verbose=0)
    model.fit(x, y, epochs=1, verbose=0, callbacks=[compression])
    model.save(tmp_path / "plain.keras")
    loaded = keras.models.load_model(tmp_path / "plain.keras")
    assert type(loaded) is keras.Sequential
    assert [type(layer) for layer in loaded.layers] == [L.Dense, L.Dense]
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    assert int((loaded.layers[0].kernel.numpy() == 0).sum()) == 36


def frozen_backbone():
    """The backbone's Dense and a first layer do not train."""
    inner = keras.Sequential([keras.Input((8,)), L.Dense(12, activation="relu", name="in")], name="body")
    inner.trainable = False
    inputs = keras.Input((6,))
    x = L.Dense(8, activation="relu", name="still", trainable=False)(inputs)
    return keras.Model(inputs, L.Dense(3, name="head")(inner(x)))


def test_frozen_layers_are_left_alone(points):
    x, y = points
    model = compiled(frozen_backbone())
    before = {v.path: v.numpy() for v in model.non_trainable_variables}
    compression = tfc.Compression([tfc.Prune(0.5), tfc.Cluster(4), tfc.Quantize("int8")], verbose=0)
    model.fit(x, y, epochs=2, verbose=0, callbacks=[compression])
    assert len(before) == 4
    for v in model.non_trainable_variables:
        np.testing.assert_array_equal(v.numpy(), before[v.path])
    assert int((model.get_layer("head").kernel.numpy() == 0).sum()) == 18
    reasons = {(r.layer, r.weight): r for r in compression.plan.rows}
    # rounding happens in the file, so a frozen kernel is quantized but not pruned
    assert "Quantize 8 bits" in reasons["body/in", "kernel"].action
    assert "Prune" not in reasons["body/in", "kernel"].action
    artifact = compression.convert(calibration=x[:32])
    gap = np.abs(artifact.predict(x) - compression.predict(x)).max()
    assert artifact.is_integer and gap <= artifact.outputs[0].scale * 1.001


def test_frozen_layers_named_in_where_are_treated(points):
    x, y = points
    model = compiled(frozen_backbone())
    compression = tfc.Compression(tfc.Prune(0.5, where=["still", "head"]), verbose=0)
    body = model.get_layer("body").get_layer("in").kernel.numpy()
    model.fit(x, y, epochs=2, verbose=0, callbacks=[compression])
    assert int((model.get_layer("still").kernel.numpy() == 0).sum()) == 24
    assert int((model.get_layer("head").kernel.numpy() == 0).sum()) == 18
    np.testing.assert_array_equal(model.get_layer("body").get_layer("in").kernel.numpy(), body)


def test_batch_normalization_trains_and_the_file_agrees(tiny_model, tiny_data, laws):
    x, y = tiny_data
    model = tiny_model
    model.compile("adam", "sparse_categorical_crossentropy")
    before = model.get_layer("conv_bn").moving_mean.numpy()
    compression = tfc.Compression([tfc.Prune(0.5), tfc.Quantize("int8")], verbose=0)
    model.fit(x, y, epochs=2, verbose=0, callbacks=[compression])
    assert np.abs(model.get_layer("conv_bn").moving_mean.numpy() - before).max() > 0.01
    laws(model, compression, x)


def test_without_techniques_that_bite_the_loss_curve_is_the_plain_one(points, dense_net):
    """A mask of ones changes nothing: same losses with the callback as without."""
    x, y = points
    curves = []
    for callbacks in ([], [tfc.Compression(tfc.Prune(tfc.schedules.constant(0.0)), verbose=0)]):
        keras.utils.set_random_seed(1)
        model = dense_net()
        curves.append(model.fit(x, y, epochs=3, verbose=0, callbacks=callbacks).history["loss"])
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-5)
