"""Small nets, data and laws for the tests of training."""

import keras
import numpy as np
import pytest

L = keras.layers


@pytest.fixture
def points():
    """96 points (6,) float32, and the class 0..2 of each, linearly separable."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(96, 6)).astype("float32")
    return x, np.argmax(x @ rng.normal(size=(6, 3)), axis=1)


@pytest.fixture
def dense_net():
    """Function that returns a compiled Dense12-ReLU-Dense3 net; keywords go to `compile`."""

    def make(optimizer=None, **options):
        optimizer = optimizer or keras.optimizers.SGD(0.1, momentum=0.9)  # cheaper to trace than Adam
        model = keras.Sequential(
            [
                keras.Input((6,)),
                L.Dense(12, activation="relu", name="hidden"),
                L.Dense(3, name="head"),
            ]
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        options.setdefault("jit_compile", False)  # XLA takes longer to compile than these trainings
        model.compile(optimizer, loss, **options)
        return model

    return make


@pytest.fixture
def laws():
    """Function that asserts what Prune(0.5) and Quantize("int8") promise of a finished model."""

    def check(model, compression, x=None, sparsity=0.5, lsb=1):
        kernels = [chain.variable.numpy() for chain in compression.state.chains()]
        assert kernels
        for w in kernels:
            assert int((w == 0).sum()) == round(sparsity * w.size)
        for span in compression.state.ranges:
            low, high = span.limits()
            assert span.is_set and low <= 0 <= high and high - low > 1e-3
        assert hooked(model) == []
        if x is not None:
            assert_file_agrees(compression, x, lsb)

    return check


def hooked(model) -> list[str]:
    """Returns what lies over the model or its layers at this moment."""
    found = [f"{o.name}.{n}" for o in model._flatten_layers() for n in ("call", "activation") if _is_laid(o, n)]
    return found + [n for n in ("compute_loss", "train_step") if n in model.__dict__]


def _is_laid(owner, name):
    """Whether an attribute of the instance hides the method of its class."""
    return name in owner.__dict__ and callable(getattr(type(owner), name, None))


def assert_file_agrees(compression, x, lsb=1):
    """Converts: no fewer zeros in the file, outputs within `lsb` steps of the simulation."""
    artifact = compression.convert(calibration=x[:32])
    assert artifact.is_integer
    gap = np.abs(artifact.predict(x) - compression.predict(x)).max()
    assert gap <= lsb * artifact.outputs[0].scale * 1.001
    zeros = sum(int((k == 0).sum()) for k in artifact.kernels().values())
    assert zeros >= sum(int((c.variable.numpy() == 0).sum()) for c in compression.state.chains())


@pytest.fixture
def hooks():
    """The function `hooked`."""
    return hooked


@pytest.fixture
def file_agrees():
    """The function `assert_file_agrees`."""
    return assert_file_agrees
