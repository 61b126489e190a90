"""How a model was compiled comes over: evaluation gives the same loss and metrics."""

import warnings

import numpy as np
import pytest

from tfcompress.legacy.port import port

tf_keras = pytest.importorskip("tf_keras")
K = tf_keras
pytestmark = [
    pytest.mark.legacy,
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file:UserWarning"),
]

X = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
WHOLE, ONE_HOT = np.array([0, 1, 2, 2, 1, 0]), np.eye(3, dtype="float32")[[0, 1, 2, 2, 1, 0]]


def compiled(**arguments):
    tf_keras.utils.set_random_seed(0)
    model = K.Sequential([K.Input((4,)), K.layers.Dense(3, activation="softmax")])
    model.compile(**arguments)
    return model


def ports(model, folder):
    yield port(model)
    for path in (folder / "model.h5", folder / "model.keras"):
        model.save(path)
        yield port(path)


@pytest.mark.parametrize(
    ("loss", "metrics", "y"),
    [
        ("sparse_categorical_crossentropy", lambda: ["accuracy"], WHOLE),
        (K.losses.CategoricalCrossentropy(label_smoothing=0.1), lambda: [K.metrics.CategoricalAccuracy()], ONE_HOT),
        ("mse", lambda: ["mae", K.metrics.MeanSquaredError(name="again")], ONE_HOT),
    ],
)
def test_loss_and_metrics_are_the_same(tmp_path, loss, metrics, y):
    model = compiled(optimizer="adam", loss=loss, metrics=metrics())
    expected = model.evaluate(X, y, verbose=0)
    for found in ports(model, tmp_path):
        np.testing.assert_allclose(found.evaluate(X, y, verbose=0), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: K.optimizers.SGD(0.1, momentum=0.9, nesterov=True), {"momentum": 0.9, "nesterov": True}),
        (lambda: K.optimizers.legacy.Adam(0.1, beta_1=0.8), {"beta_1": 0.8}),
        (lambda: K.optimizers.AdamW(0.1, weight_decay=0.01), {"weight_decay": 0.01}),
    ],
)
def test_optimizers_keep_their_settings(tmp_path, make, expected):
    model = compiled(optimizer=make(), loss="mse")
    for found in ports(model, tmp_path):
        assert type(found.optimizer).__name__ == type(model.optimizer).__name__
        config = found.optimizer.get_config()
        assert config["learning_rate"] == pytest.approx(0.1)
        assert {key: config[key] for key in expected} == pytest.approx(expected)


def test_a_schedule_of_the_learning_rate_comes_over():
    schedule = K.optimizers.schedules.ExponentialDecay(0.1, 100, 0.5)
    found = port(compiled(optimizer=K.optimizers.RMSprop(schedule), loss="mse"))
    found.optimizer.iterations.assign(100)
    assert float(found.optimizer.learning_rate) == pytest.approx(0.05)


def own_loss(target, output):
    return output


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"optimizer": "adam", "loss": own_loss}, "own_loss"),
        ({"optimizer": K.optimizers.legacy.SGD(0.1, decay=1e-3), "loss": "mse"}, "SGD has decay"),
    ],
)
def test_what_does_not_come_over_is_told_once(arguments, text):
    model = compiled(**arguments)
    with pytest.warns(UserWarning, match=f"{text}.*not compiled") as caught:
        found = port(model)
    assert not found.compiled and len(caught) == 1


def test_own_losses_are_taken_by_name():
    model = compiled(optimizer="adam", loss=own_loss)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert port(model, custom_objects={"own_loss": own_loss}).compiled


def test_a_model_that_was_not_compiled_is_not():
    model = K.Sequential([K.Input((4,)), K.layers.Dense(3)])
    assert not port(model).compiled
