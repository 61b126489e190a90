"""A small net and data, a short fit under techniques, and their advance by hand without a fit."""

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.fake_quant.transforms.mask import Mask
from tfcompress.techniques.base import Memory, Moment
from tfcompress.training.plan import make_plan

L = keras.layers
STEPS = 6  # an epoch of `points` in batches of 16


@pytest.fixture(scope="session")
def points():
    """96 points (7,) float32 and the class 0..2 of each, linearly separable."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(96, 7)).astype("float32")
    return x, np.argmax(x @ rng.normal(size=(7, 3)), axis=1)


def dense_net(rate=0.01):
    """Dense13-ReLU-Dense3 with logits: kernels of 91 and 39 weights, odd numbers both."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((7,)), L.Dense(13, activation="relu", name="hidden"), L.Dense(3, name="head")],
        name="net",
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss)
    return model


@pytest.fixture
def net():
    """A function that makes the small net."""
    return dense_net


@pytest.fixture
def fitted(points):
    """Function `(techniques, model, epochs, callbacks, **options) -> (model, compression)`."""

    def fit(techniques, model=None, epochs=2, callbacks=(), **options):
        model = model or dense_net()
        compression = tfc.Compression(techniques, verbose=0, **options)
        x, y = points
        model.fit(x, y, epochs=epochs, batch_size=16, verbose=0, callbacks=[compression, *callbacks])
        return model, compression

    return fit


class Driven:
    """A technique moved by hand: what the callback does between steps, without the steps."""

    def __init__(self, technique, model, total=100):
        self.plan = make_plan(model, [technique])
        self.technique, self.model, self.total = technique, model, total
        self.kernels = self.plan.kernels[technique.name]
        self.memory = Memory(model, self.plan.extras[technique.name])

    def at(self, step):
        """Moves the technique to a step of `total`."""
        self.technique.advance(Moment(step, self.total, step / self.total), self.kernels, self.memory)

    def finish(self):
        """The last move, and the bake."""
        self.memory.is_final = False
        self.technique.advance(Moment(self.total, self.total, 1.0, True), self.kernels, self.memory)
        self.plan.state.bake()

    def masks(self):
        """The masks by kernel name."""
        return {k.name: np.array(k.chain.find(Mask).mask) for k in self.kernels}

    def off(self):
        """Masked weights of each kernel."""
        return [int((m == 0).sum()) for m in self.masks().values()]


@pytest.fixture
def driven():
    """The class `Driven`."""
    return Driven
