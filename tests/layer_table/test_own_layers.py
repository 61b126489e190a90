"""A subclass that computes otherwise than the layer it inherits from has that layer's axes and nothing else."""

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.distillation.teachers import LOGITS, answers
from tfcompress.evaluate.macs import macs
from tfcompress.fake_quant.input_scaling import factor_and_offset
from tfcompress.rewrites.editable_graph import Draft
from tfcompress.rewrites.residual_blocks import BLOCK, droppable

L = keras.layers


class Standardized(L.Conv2D):
    """A kernel whose size its own call takes away."""

    def call(self, x):
        k = self.kernel
        k = (k - keras.ops.mean(k, (0, 1, 2))) / (keras.ops.std(k, (0, 1, 2)) + 1e-5)
        return keras.ops.conv(x, k, strides=list(self.strides), padding=self.padding)


class Hooked(L.Conv2D):
    """The same by the method that Keras' call uses."""

    def convolution_op(self, x, kernel):
        return super().convolution_op(x, kernel / (keras.ops.std(kernel, (0, 1, 2)) + 1e-5))


class Named(L.Conv2D):
    """Only its constructor is its own."""

    def __init__(self, filters, **kwargs):
        kwargs.pop("kernel_size", None)
        super().__init__(filters, 3, **kwargs)


def test_own_behaviour_is_unknown():
    for layer in (Standardized(6, 3), Hooked(6, 3)):
        spec = tfc.spec_of(layer)
        assert not spec.is_known and spec.flow == "unknown"
        assert spec.axes["kernel"] == "xyio" and spec.kernels == ("kernel",)
    assert tfc.spec_of(Named(6)) == tfc.spec_of(L.Conv2D(6, 3))


@pytest.mark.parametrize("kind", [Standardized, Hooked])
def test_nothing_is_folded_into_it(kind):
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    layers = [kind(6, 3, use_bias=False), L.BatchNormalization(name="n"), L.ReLU(), L.Flatten(), L.Dense(4)]
    model = keras.Sequential([keras.Input((8, 8, 3)), *layers])
    norm = model.get_layer("n")
    norm.moving_variance.assign(rng.uniform(5, 50, 6))
    norm.gamma.assign(rng.uniform(0.5, 1.5, 6))
    x = rng.random((64, 8, 8, 3), "float32")
    wanted = model.predict(x, verbose=0)
    found = tfc.convert(model, calibration=x).predict(x)
    assert np.sqrt(np.mean((found - wanted) ** 2)) < 0.03 * wanted.std()
    assert np.abs(tfc.Fold().apply(model).predict(x, verbose=0) - wanted).max() < 1e-5


@pytest.mark.e2e
def test_a_relu_of_ones_own_may_be_negative():
    class Shifted(L.ReLU):
        def call(self, x):
            return super().call(x) - 0.5

    keras.utils.set_random_seed(0)
    layers = [L.Conv2D(6, 3), Shifted(), L.Flatten(), L.Dense(4)]
    model = keras.Sequential([keras.Input((8, 8, 3)), *layers])
    x = np.random.default_rng(0).normal(size=(64, 8, 8, 3)).astype("float32")
    assert tfc.convert(model, calibration=x, diagnose=False).fidelity.error < 0.05


class Add(L.Layer):
    """A layer of the user's that has the name of one of Keras', and subtracts."""

    def call(self, given):
        return given[0] - given[1]


class Softmax(L.Layer):
    """A layer of the user's that has the name of one of Keras', and gives no probabilities."""

    def call(self, x):
        return x + 1.0


def test_a_name_of_keras_says_nothing():
    x = inputs = keras.Input((4,))
    x = Softmax(name="s")(Add(name="a")([x, L.Dense(4, name="d")(x)]))
    model = keras.Model(inputs, x)
    assert [a.ending for a in answers(model)] == [LOGITS]
    assert not any(node.spec.is_sum for node in Draft(model).nodes)
    assert [d for d in droppable(model)[0] if d.kind == BLOCK] == []


def test_an_inherited_name_says_nothing_either():
    class Shifted(L.Rescaling):
        def call(self, x):
            return super().call(x) + 1.0

    class Squared(L.Dense):
        def call(self, x):
            return super().call(x) ** 2

    class Probable(L.Softmax):
        def call(self, x):
            return -super().call(x)

    assert factor_and_offset(L.Rescaling(0.5)) == (0.5, 0.0) and factor_and_offset(Shifted(0.5)) is None
    model = keras.Sequential([keras.Input((64,)), Squared(64, name="q"), Probable(name="p")])
    with pytest.raises(ValueError, match="'?q'?.*describe"):
        macs(model)
    assert [a.ending for a in answers(model)] == [LOGITS]
