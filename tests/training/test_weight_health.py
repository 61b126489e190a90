"""A training that diverged is called that; weights that came back from before it are fine."""

import copy

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfcompress as tfc

HALF = [tfc.Prune(0.5), tfc.Quantize("int8")]


@pytest.mark.parametrize("extra", [[], [tfc.Cluster(4, begin=0.0)]], ids=["", "clustered"])
def test_a_diverged_training_is_told_by_layer(points, dense_net, extra):
    model, compression = dense_net(keras.optimizers.SGD(1e25)), tfc.Compression([*HALF, *extra], verbose=0)
    model.fit(*points, epochs=3, verbose=0, callbacks=[keras.callbacks.TerminateOnNaN(), compression])
    assert any("weights of 'hidden', 'head' are not finite" in note for note in compression.notes)
    assert not any("restored" in note for note in compression.notes)
    with pytest.raises(ValueError, match="weights of 'hidden', 'head' are not finite"):
        compression.convert(calibration=points[0])


class Poison(keras.callbacks.Callback):
    """Makes the weights of one layer infinite, and the earlier ones come back at the end."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            self.held = self.model.get_weights()
            self.model.layers[0].kernel.assign(np.full((6, 12), np.inf))

    def on_train_end(self, logs=None):
        self.model.set_weights(self.held)


def test_weights_from_before_convert_for_the_ranges_forget_what_was_not_finite(points, dense_net, laws):
    model, compression = dense_net(), tfc.Compression(HALF, verbose=0)
    model.fit(*points, epochs=2, verbose=0, callbacks=[compression, Poison()])
    assert not any("not finite" in note for note in compression.notes)
    assert all(np.isfinite(span.limits()).all() for span in compression.state.ranges)
    laws(model, compression, points[0])


def test_statistics_that_are_not_finite_are_told(tiny_model, tiny_data):
    tiny_model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
    compression = tfc.Compression(tfc.Prune(0.5), verbose=0)
    tiny_model.fit(*tiny_data, epochs=1, verbose=0, callbacks=[compression])
    norm = tiny_model.get_layer("conv_bn")
    norm.moving_variance.assign(np.full(norm.moving_variance.shape, np.nan))
    with pytest.raises(ValueError, match="weights of 'conv_bn' are not finite"):
        compression.convert(calibration=tiny_data[0])


@pytest.mark.slow
@pytest.mark.parametrize("is_used", [False, True])
def test_a_callback_with_a_dataset_is_deep_copied(points, dense_net, laws, is_used):
    """As KerasTuner does before each trial."""
    data = tf.data.Dataset.from_tensor_slices(points[0]).batch(8)
    first, compression = dense_net(), tfc.Compression(HALF, calibration=data, verbose=0)
    if is_used:
        first.fit(*points, epochs=1, verbose=0, callbacks=[compression])
    copies = copy.deepcopy([compression, compression])
    assert copies[0] is copies[1] is not compression
    model = dense_net()
    model.fit(*points, epochs=2, verbose=0, callbacks=[copies[0]])
    laws(model, copies[0], points[0])
    assert copies[0].clock.step == 6 and copies[0].network is model
    if is_used:
        assert compression.network is first and compression.clock.step == 3
        laws(first, compression, points[0])
