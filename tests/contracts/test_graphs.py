"""Graphs of every form: the file computes the simulation, and errors name the right layer."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfcompress as tfc
from tfcompress.export.simulate import simulate
from tfcompress.fake_quant.state import CompressionState

pytestmark = pytest.mark.sampled(3)

L = keras.layers
SHAPE = (8, 8, 3)


def images(count=64, seed=1, shape=SHAPE):
    return np.random.default_rng(seed).normal(size=(count, *shape)).astype("float32")


def residual_concat():
    """Two residual blocks (Add, then ReLU), a concatenation of convolutions, global pooling."""
    x = inputs = keras.Input(SHAPE)
    x = L.ReLU()(L.BatchNormalization()(L.Conv2D(6, 3, padding="same", use_bias=False)(x)))
    for _ in range(2):
        y = L.ReLU()(L.BatchNormalization()(L.Conv2D(6, 3, padding="same", use_bias=False)(x)))
        y = L.BatchNormalization()(L.Conv2D(6, 3, padding="same", use_bias=False)(y))
        x = L.ReLU()(L.Add()([x, y]))
    x = L.Concatenate()([L.Conv2D(4, 1, activation="relu")(x), L.Conv2D(5, 3, padding="same")(x)])
    return keras.Model(inputs, L.Dense(4)(L.GlobalAveragePooling2D()(x)))


def shared():
    """One convolution called on two inputs, and twice in a row."""
    left, right = keras.Input(SHAPE, name="left"), keras.Input(SHAPE, name="right")
    conv = L.Conv2D(3, 3, padding="same", activation="relu")
    x = L.Add()([conv(conv(left)), conv(right)])
    return keras.Model([left, right], L.Dense(4)(L.Flatten()(x)))


def backbone():
    x = inputs = keras.Input(SHAPE)
    x = L.ReLU()(L.BatchNormalization()(L.Conv2D(4, 3)(x)))
    return keras.Model(inputs, L.DepthwiseConv2D(3)(x))


def nested():
    """A backbone inside a model, both with default names that meet in the file."""
    x = inputs = keras.Input(SHAPE)
    x = L.Conv2D(3, 3, padding="same", name="conv2d")(x)
    inner = backbone()
    inner.get_layer(index=1).name = "conv2d"
    x = L.BatchNormalization()(inner(x))
    x = L.Conv2D(4, 1, name="conv2d_1")(x)
    return keras.Model(inputs, L.Dense(4)(L.Flatten()(x)))


def nodes():
    """keras.ops nodes between layers: arithmetic, relu, slicing."""
    x = inputs = keras.Input(SHAPE)
    x = keras.ops.relu(L.Conv2D(4, 3)(x) + 1.0)
    x = x[:, 1:5, 1:5] * L.Conv2D(4, 3)(x)
    return keras.Model(inputs, L.Dense(4)(keras.ops.reshape(x, (-1, 64))))


def several():
    """Two inputs, two named outputs, one of them probabilities."""
    image, vector = keras.Input(SHAPE, name="image"), keras.Input((5,), name="vector")
    x = L.GlobalAveragePooling2D()(L.Conv2D(4, 3, activation="relu")(image))
    x = L.Concatenate()([x, L.Dense(4, activation="relu")(vector)])
    outputs = {"logits": L.Dense(3)(x), "chance": L.Dense(2, activation="softmax")(x)}
    return keras.Model({"image": image, "vector": vector}, outputs)


class OfLayers(keras.Model):
    """Subclassed; everything it does is a layer."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.act = L.Conv2D(4, 3), L.BatchNormalization(), L.ReLU()
        self.second, self.add, self.flat = L.Conv2D(4, 3, padding="same"), L.Add(), L.Flatten()
        self.head = L.Dense(4)

    def call(self, x):
        x = self.act(self.norm(self.first(x)))
        return self.head(self.flat(self.add([x, self.second(x)])))


class WithRawOps(OfLayers):
    """Subclassed; one sum is a TensorFlow operation."""

    def build(self, shape):
        OfLayers.call(self, keras.Input(shape[1:]))
        self.built = True

    def call(self, x):
        x = self.act(self.norm(self.first(x)))
        return self.head(self.flat(tf.add(x, self.second(x))))


def subclassed(kind=OfLayers):
    model = kind()
    model(np.zeros((1, *SHAPE), "float32"))
    return model


BUILDERS = {
    "residual-concat": residual_concat,
    "nested": nested,
    "nodes": nodes,
    "subclassed": subclassed,
}


@pytest.fixture
def shaken(shake):
    return lambda model: shake(model) or model


@pytest.mark.slow
@pytest.mark.parametrize("name", BUILDERS)
def test_file_computes_the_simulation(name, shaken):
    model, x = shaken(BUILDERS[name]()), images()
    artifact = tfc.convert(model, calibration=x)
    with_xnnpack, without = artifact.metadata["parity"]
    assert artifact.is_integer
    assert with_xnnpack["largest_gap"] < 1.5 and with_xnnpack["equal"] > 0.99
    assert without["largest_gap"] < 3.5 and without["agreement"] > 0.95


def test_shared_layers(shaken):
    model = shaken(shared())
    x = {"left": images(), "right": images(seed=2)}
    artifact = tfc.convert(model, calibration=x)
    assert artifact.is_integer and artifact.metadata["parity"][0]["largest_gap"] < 1.5


def test_several_inputs_and_outputs(shaken):
    model = shaken(several())
    x = {"image": images(), "vector": images(shape=(5,))}
    artifact = tfc.convert(model, calibration=x)
    assert artifact.is_integer and artifact.metadata["parity"][0]["largest_gap"] < 1.5
    got, plain = artifact.predict(x), model.predict(x, verbose=0)
    assert set(got) == {"logits", "chance"}
    assert np.abs(got["chance"] - plain["chance"]).max() < 0.1


def test_subclassed_with_raw_ops(shaken):
    model, x = shaken(subclassed(WithRawOps)), images()
    artifact = tfc.convert(model, calibration=x)
    assert artifact.is_integer
    assert not any("TensorFlow's calibrator" in note for note in artifact.metadata["notes"])
    plain = model.predict(x, verbose=0)
    assert np.mean(artifact.predict(x).argmax(1) == plain.argmax(1)) > 0.9
    model.compile("sgd", "mse")
    compression = tfc.Compression(tfc.Quantize("int8"), verbose=0)
    compression.set_model(model)
    assert len(compression.plan.state.ranges) >= 4


def sine(name):
    return L.Activation(keras.ops.sin, name=name)


def sine_nested():
    inner = keras.Sequential([keras.Input((6,)), L.Dense(4), sine("wave")], name="inner")
    return keras.Sequential([keras.Input((6,)), L.Dense(6), L.ReLU(name="wave"), inner, L.Dense(2)])


def sine_repeated():
    parts = [
        keras.Sequential([keras.Input((6,)), L.Dense(6, name="dense"), act], name=f"part{k}")
        for k, act in enumerate([L.ReLU(name="act"), sine("act")])
    ]
    return keras.Sequential([keras.Input((6,)), *parts, L.Dense(2)])


def sine_last():
    layers = [L.Dense(6), L.Dense(3, activation=keras.ops.sin, name="end")]
    return keras.Sequential([keras.Input((6,)), *layers])


SINE = [(sine_nested, "inner/wave"), (sine_repeated, "part1/act"), (sine_last, "end")]


@pytest.mark.parametrize("build,layer", SINE, ids=["nested", "repeated", "last"])
def test_the_right_layer_is_named(build, layer):
    model, x = build(), images(shape=(6,))
    with pytest.raises(tfc.NotFullyInteger) as caught:
        tfc.convert(model, calibration=x)
    assert [(f.op, f.layer) for f in caught.value.float_ops] == [("SIN", layer)]
    assert tfc.convert(model, calibration=x, allow_float=["SIN"]).predict(x).shape[0] == 64
    assert tfc.convert(model, calibration=x, allow_float=[layer]).float_ops()


def test_every_operation_has_its_layer(shaken):
    artifact = tfc.convert(shaken(nested()), calibration=images())
    paths = [artifact.layer_of(op) for graph in artifact.model.graphs for op in graph.ops]
    inner = next(p.split("/")[0] for p in paths if "/" in p)
    kernels = [p for p in paths if "flatten" not in p]
    assert kernels[:2] == ["conv2d", f"{inner}/conv2d"] and kernels[2].startswith(f"{inner}/depth")
    assert "conv2d_1" in kernels and kernels[-1].startswith("dense")


def middle():
    layers = [L.Conv2D(4, 3, activation="relu", name="a"), L.Conv2D(5, 3, name="mid")]
    layers += [L.Conv2D(6, 3, name="c"), L.Flatten(name="flat"), L.Dense(4, name="d")]
    return keras.Sequential([keras.Input(SHAPE), *layers])


def test_the_end_can_be_left_float():
    x = images()
    artifact = tfc.convert(middle(), calibration=x, leave_float=["c", "d"])
    assert {artifact.layer_of(op) for op in artifact.float_ops()} == {"c", "flat", "d"}
    assert artifact.metadata["parity"][0]["equal"] > 0.99


def test_a_float_layer_in_the_middle_is_refused_with_the_way_out():
    with pytest.raises(tfc.NotFullyInteger, match="layers left out of int8 feed it .mid.") as caught:
        tfc.convert(middle(), calibration=images(), leave_float=["mid"])
    assert [f.layer for f in caught.value.float_ops] == ["c"]


def test_a_layer_left_out_in_training_is_not_made_integer_behind_ones_back():
    model, x = middle(), images()
    model.compile("sgd", "mse")
    compression = tfc.Compression(tfc.Quantize("int8", overrides={"d": None}), verbose=0)
    model.fit(x, np.zeros((64, 4)), verbose=0, callbacks=[compression])
    with pytest.raises(tfc.NotFullyInteger, match="leave_float=.'d'"):
        compression.convert(calibration=x)
    artifact = compression.convert(calibration=x, leave_float=["d"])
    assert [artifact.layer_of(op) for op in artifact.float_ops()] == ["d"]
    assert np.allclose(artifact.predict(x), compression.predict(x), atol=1e-3)


def logits(depthwise):
    x = inputs = keras.Input((12, 12, 3))
    x = L.ReLU()(L.BatchNormalization()(L.Conv2D(8, 3, use_bias=False)(x)))
    if depthwise:
        x = L.ReLU()(L.BatchNormalization()(L.DepthwiseConv2D(3, use_bias=False)(x)))
        x = L.ReLU()(L.BatchNormalization()(L.Conv2D(12, 1, use_bias=False)(x)))
        x = L.GlobalAveragePooling2D()(x)
    else:
        x = L.ReLU()(L.BatchNormalization()(L.Conv2D(12, 3)(L.MaxPooling2D()(x))))
        x = L.Flatten()(x)
    return keras.Model(inputs, L.Dense(10)(x))


@pytest.mark.parametrize("depthwise", [False, True], ids=["conv-bn-relu", "depthwise"])
def test_parity_of_logits(depthwise, shaken):
    """With XNNPACK the file agrees with the simulation on 99.95 % of random inputs or more."""
    model = shaken(logits(depthwise))
    x = images(2000, shape=(12, 12, 3))
    artifact = tfc.convert(model, calibration=x[:64])
    simulated = simulated_logits(model, x[:64], x)
    got = artifact.predict(x)
    assert np.abs(got - simulated).max() / artifact.outputs[0].scale < 1.5
    assert np.mean(got.argmax(1) == simulated.argmax(1)) >= 0.9995
    plain = artifact.predict(x, xnnpack=False)
    assert np.mean(plain.argmax(1) == simulated.argmax(1)) >= 0.995


def simulated_logits(model, calibration, x):
    """The simulation convert compares with, on further inputs."""
    from tfcompress.calibration.samples import samples
    from tfcompress.export.post_training import quantized_state
    from tfcompress.export.simulate import observe
    from tfcompress.graph.keras_private import input_triples

    state = quantized_state(model, lambda op: False)
    assert isinstance(state, CompressionState)
    observe(model, state, samples(calibration, input_triples(model)))
    return simulate(model, state, x)
