"""A factor for the whole input is no operation of the file, and costs no accuracy."""

import keras
import numpy as np
import pytest

import tfcompress as tfc

L = keras.layers
# random weights and statistics behind pixels of 0..255 look like a mistake, and are one but for the test
pytestmark = [pytest.mark.sampled(4), pytest.mark.filterwarnings("ignore:calibration")]
X = np.random.default_rng(0).integers(0, 256, (64, 12, 12, 3)).astype("float32")

FRONTS = {
    "factor": lambda: L.Rescaling(1 / 255),
    "factor and offset": lambda: L.Rescaling(1 / 127.5, -1),
    "mean and variance": lambda: L.Normalization(axis=None, mean=120.0, variance=4900.0),
}
BODIES = {
    "convolution": lambda h: L.Conv2D(6, 3, activation="relu")(h),
    "normalized": lambda h: L.ReLU()(L.BatchNormalization()(L.Conv2D(6, 3, use_bias=False)(h))),
    "dense": lambda h: L.Dense(8)(L.Flatten()(h)),
    "depthwise": lambda h: L.DepthwiseConv2D(3, depth_multiplier=2)(h),
    "two readers": lambda h: L.Add()([L.Conv2D(6, 3)(h), L.Conv2D(6, 3, use_bias=False)(L.Dropout(0.1)(h))]),
}


def net(front, body):
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(1)
    x = keras.Input((12, 12, 3))
    model = keras.Model(x, L.Dense(4)(L.Flatten()(body(front(x)))))
    for v in model.variables:
        if v.path.endswith("bias"):
            v.assign(rng.normal(0, 0.1, v.shape))
        if v.path.endswith("moving_variance"):
            v.assign(rng.uniform(0.05, 0.2, v.shape))
    return model


def error(artifact, model):
    wanted = model.predict(X, verbose=0)
    worst = max(np.sqrt(np.mean((artifact.predict(X, xnnpack=on) - wanted) ** 2)) for on in (True, False))
    return worst / wanted.std()


@pytest.mark.sampled(8)
@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("body", BODIES)
def test_the_first_layers_take_it_over(front, body):
    model = net(FRONTS[front](), BODIES[body])
    artifact = tfc.convert(model, calibration=X)
    plain = tfc.convert(net(lambda x: x, BODIES[body]), calibration=X)
    assert [op.name for op in artifact.model.graphs[0].ops] == [op.name for op in plain.model.graphs[0].ops]
    assert error(artifact, model) < 0.025
    assert artifact.inputs[0].scale == pytest.approx(1.0, rel=1e-3)  # of raw values 0..255
    assert max(p["largest_gap"] for p in artifact.metadata["parity"]) < 1.5


@pytest.mark.parametrize(
    "body",
    [
        lambda h: L.Conv2D(6, 3, padding="same")(h),  # pads by zeros, which are no raw values
        lambda h: L.Conv2D(6, 3)(L.ZeroPadding2D()(h)),
        lambda h: L.Add()([h, L.Conv2D(3, 3, padding="same")(h)]),
    ],
)
def test_where_zeros_are_padded_an_offset_stays(body):
    model = net(FRONTS["factor and offset"](), body)
    artifact = tfc.convert(model, calibration=X)
    assert artifact.model.graphs[0].ops[0].name == "DEPTHWISE_CONV_2D"
    assert error(artifact, model) < 0.025


def test_training_and_a_session_keep_it():
    model = net(FRONTS["factor and offset"](), BODIES["normalized"])
    session = tfc.compress(model, [tfc.Quantize("int8")], data=X)
    session.model.compile(keras.optimizers.SGD(0.0), "mse", jit_compile=False)
    session.model.fit(X, np.zeros((64, 4)), epochs=2, verbose=0, callbacks=session.callbacks)
    artifact = session.convert(calibration=X)
    assert artifact.model.graphs[0].ops[0].name == "CONV_2D"
    assert max(p["largest_gap"] for p in artifact.metadata["parity"]) < 1.5
