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


class Affine(L.Layer):
    """A factor and an offset, trained, as two operations: one of each, or one for each channel."""

    def __init__(self, by_channel, **options):
        super().__init__(**options)
        self.by_channel = by_channel

    def build(self, shape):
        size = (shape[-1],) if self.by_channel else ()
        self.factor = self.add_weight(name="factor", shape=size, initializer="ones")
        self.offset = self.add_weight(name="offset", shape=size, initializer="zeros")

    def call(self, x):
        return self.factor * x + self.offset


class Scale(L.Layer):
    """A factor for each channel, as it is or computed in the call."""

    def __init__(self, computed=False, **options):
        super().__init__(**options)
        self.computed = computed

    def build(self, shape):
        self.factor = self.add_weight(name="factor", shape=(shape[-1],), initializer="ones")

    def call(self, x):
        return x * (keras.ops.reshape(self.factor, (1, 1, 1, -1)) if self.computed else self.factor)


def small_net(*body):
    """A convolution, what stands between, and a layer behind; constants drawn, those of scales over a wide range."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(2)
    h = i = keras.Input((8, 8, 3))
    for layer in (L.Conv2D(6, 3), *body):
        h = layer(h)
    model = keras.Model(i, h)
    for v in model.variables:
        if v.name == "factor":
            v.assign(np.exp(rng.normal(0, 1.5, v.shape)) if v.shape else 0.8)
        if v.name in ("offset", "bias"):
            v.assign(rng.normal(0, 0.1, v.shape))
    return model, rng.normal(size=(32, 8, 8, 3)).astype("float32")


def operations(artifact):
    return [op.name for op in artifact.model.graphs[0].ops]


def error_by_channel(artifact, model, x):
    """The largest error of a channel, as a fraction of its own spread."""
    wanted = model.predict(x, verbose=0)
    gap = np.sqrt(np.mean((artifact.predict(x) - wanted) ** 2, axis=(0, 1, 2)))
    return (gap / wanted.std(axis=(0, 1, 2))).max()


def test_a_factor_behind_a_kernel_becomes_part_of_it():
    (model, x), (plain, _) = small_net(Scale(), L.ReLU(), L.Conv2D(4, 1)), small_net(L.ReLU(), L.Conv2D(4, 1))
    kernel, bias, *behind = plain.variables
    first, scale, last = (layer.variables for layer in model.layers if layer.variables)
    kernel.assign(np.asarray(first[0]) * np.asarray(scale[0]))
    bias.assign(np.asarray(first[1]) * np.asarray(scale[0]))
    for variable, value in zip(behind, last, strict=True):
        variable.assign(value)
    artifact, wanted = tfc.convert(model, calibration=x), tfc.convert(plain, calibration=x)
    assert operations(artifact) == operations(wanted)
    assert np.abs(artifact.predict(x) - wanted.predict(x)).max() < 1.5 * wanted.outputs[0].scale
    assert artifact.metadata["parity"][0]["largest_gap"] < 1.5


@pytest.mark.parametrize("computed", [False, True])
def test_uneven_factors_of_channels_are_not_rounded_on_one_scale(computed):
    model, x = small_net(L.ReLU(), Scale(computed), L.Conv2D(4, 1))
    artifact = tfc.convert(model, calibration=x)
    assert "MUL" not in operations(artifact)
    assert artifact.metadata["parity"][0]["largest_gap"] < 1.5


@pytest.mark.parametrize("by_channel", [False, True])
def test_a_product_and_a_sum_are_one_operation(by_channel):
    model, x = small_net(L.ReLU(), Affine(by_channel), L.Conv2D(4, 3, padding="same"))
    artifact = tfc.convert(model, calibration=x)
    assert not {"MUL", "ADD"} & set(operations(artifact))
    assert "DEPTHWISE_CONV_2D" in operations(artifact)  # an offset is no constant where the edges are padded
    assert error_by_channel(artifact, model, x) < 0.03
    assert artifact.metadata["parity"][0]["largest_gap"] < 1.5


@pytest.mark.parametrize("padding", [[], [L.ZeroPadding2D(0)]])
def test_a_product_and_a_sum_become_part_of_the_kernel_behind_them(padding):
    model, x = small_net(L.ReLU(), Affine(False), *padding, L.Conv2D(4, 3))
    artifact = tfc.convert(model, calibration=x)
    assert operations(artifact) == ["CONV_2D", "CONV_2D"]
    assert error_by_channel(artifact, model, x) < 0.03
    assert artifact.metadata["parity"][0]["largest_gap"] < 1.5


@pytest.mark.sampled(2)
@pytest.mark.parametrize("body", [[L.ReLU(), Affine(False)], [L.ReLU(), Affine(True)], [Scale()], [L.ReLU(), Scale()]])
def test_training_simulates_the_same(body):
    made = [type(layer).from_config({}) if isinstance(layer, L.ReLU) else layer for layer in body]
    model, x = small_net(*made, L.Conv2D(4, 1))
    model.compile("sgd", "mse", jit_compile=False)
    compression = tfc.Compression([tfc.Quantize("int8")], verbose=0)
    model.fit(x, model.predict(x, verbose=0), epochs=1, batch_size=16, verbose=0, callbacks=[compression])
    artifact = compression.convert(calibration=x)
    assert artifact.is_integer and not {"MUL", "ADD"} & set(operations(artifact))
    assert artifact.metadata["parity"][0]["largest_gap"] < 1.5
