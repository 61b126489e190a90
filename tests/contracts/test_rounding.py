"""What lies between a file and its simulation is rounding: no operation is more than a step from float arithmetic.

Every operation of a file is given the file's own inputs, once in floats and once in integers; every scale of the file
is one of the simulation; and where XNNPACK runs the operations, as in these nets, the file answers code for code but
for a rare tie.
"""

import copy
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

import tfcompress as tfc
from tfcompress.calibration.samples import samples
from tfcompress.export.post_training import quantized_state
from tfcompress.export.simulate import observe, simulate
from tfcompress.graph.keras_private import input_triples
from tfcompress.layer_table.activations import LOGARITHM, PROBABILITY, TANH
from tfcompress.system.silence import quiet
from tfcompress.tflite.optimizer.packing import pack_model, unpack_file
from tfcompress.tflite.schema.flatbuffer import read

# two rows with different nets, with and without XNNPACK
pytestmark = pytest.mark.sampled(7)

L, K = keras.layers, keras.ops
SHAPE = (12, 12, 3)


def conv(x, filters, act="relu", **options):
    x = L.BatchNormalization()(L.Conv2D(filters, 3, padding="same", use_bias=False, **options)(x))
    return L.Activation(act)(x) if act else x


def residual():
    """Residual blocks before a softmax, which makes steps of its logits larger."""
    x = inputs = keras.Input(SHAPE)
    x = conv(x, 8)
    for filters, strides in ((8, 1), (12, 2)):
        y = conv(conv(x, filters, strides=strides), filters, None)
        x = L.ReLU()(L.Add()([y, L.Conv2D(filters, 1, strides=strides)(x)]))
    return keras.Model(inputs, L.Softmax()(L.Dense(4)(L.GlobalAveragePooling2D()(x))))


def skips():
    """A tensor on a scale of its own that is joined with others, at an operation and behind a Flatten."""
    x = inputs = keras.Input(SHAPE)
    a = conv(x, 6)
    b = conv(L.MaxPooling2D()(a), 8)
    x = L.Concatenate()([L.UpSampling2D()(b), a])
    x = conv(x, 6)
    x = L.Concatenate()([x, L.Conv2D(3, 1)(x)])
    return keras.Model(inputs, L.Dense(4)(L.Flatten()(x)))


def averages_of_fixed():
    """Averages of what LiteRT gives its scale: they keep it."""
    inputs = keras.Input(SHAPE)
    x = L.AveragePooling2D(2)(L.Conv2D(8, 3, padding="same", activation="tanh")(inputs))
    x = L.Multiply()([x, L.UpSampling2D(2, interpolation="bilinear")(L.Conv2D(8, 2, 2, activation="sigmoid")(x))])
    return keras.Model(inputs, L.Dense(4)(L.Flatten()(x)))


def gates():
    """Squeeze and excite with SiLU."""
    x = inputs = keras.Input(SHAPE)
    x = conv(x, 12, "silu")
    s = L.GlobalAveragePooling2D(keepdims=True)(x)
    s = L.Conv2D(12, 1, activation="sigmoid")(L.Conv2D(4, 1, activation="silu")(s))
    return keras.Model(inputs, L.Dense(4)(L.GlobalAveragePooling2D()(L.Multiply()([x, s]))))


def leaky():
    x = inputs = keras.Input(SHAPE)
    for act in (L.LeakyReLU(0.1), L.Activation("leaky_relu"), L.ReLU(negative_slope=0.3)):
        x = act(L.Conv2D(6, 3)(x))
    return keras.Model(inputs, L.Dense(4, activation="leaky_relu")(L.Flatten()(x)))


def nodes():
    """Nodes of keras.ops that keep the scale of what they read, or give it theirs."""
    x = inputs = keras.Input(SHAPE)
    x = K.max_pool(K.clip(L.Conv2D(6, 3)(x), -0.9, 0.7), 2, 2)
    x = K.average_pool(K.maximum(x, x * 0.3), 2, 1)
    x = K.silu(L.Conv2D(6, 2)(x))
    x = K.image.resize(K.pad(x, [[0, 0], [1, 1], [0, 0], [0, 0]]), (6, 6), "nearest")
    return keras.Model(inputs, K.log_softmax(L.Dense(4)(L.Flatten()(L.ReLU(max_value=0.8)(x)))))


def centred_pictures():
    """A picture in codes of its own, each half-way between two codes of what is made of it."""
    x = inputs = keras.Input(SHAPE)
    x = conv(L.Rescaling(1 / 127.5, offset=-1.0)(x), 6)
    return keras.Model(inputs, L.Dense(4)(L.GlobalAveragePooling2D()(x)))


NETS = {f.__name__: f for f in (residual, skips, averages_of_fixed, gates, leaky, nodes, centred_pictures)}

# In steps of the output, before it is rounded; 0.5 is what rounding costs.
BOUND = 0.76
WIDER = {
    "MEAN": 1.3,  # plain kernels: up to 1.16 were seen
}


class Proof:
    """A file, its simulation, and inputs that neither has seen."""

    def __init__(self, name, shake):
        keras.utils.set_random_seed(0)
        self.model, rng = NETS[name](), np.random.default_rng(1)
        shake(self.model)
        x = rng.random((160, *SHAPE), "float32")
        x = np.round(x * 255.0) if name == "centred_pictures" else (x - 0.4) * 3.0
        self.x, seen = x[32:], x[:32]
        self.artifact = tfc.convert(self.model, calibration=seen)
        self.state = quantized_state(self.model, lambda op: False)
        observe(self.model, self.state, samples(seen, input_triples(self.model)))


@pytest.fixture(scope="module", params=NETS)
def proof(request, shake):
    return Proof(request.param, shake)


def test_with_xnnpack_the_file_is_the_simulation(proof):
    simulated, got = simulate(proof.model, proof.state, proof.x), proof.artifact.predict(proof.x)
    gaps = np.abs(got - simulated) / proof.artifact.outputs[0].scale
    assert np.mean(gaps < 0.01) >= 0.99  # a sum of floats may come out on the other side of a half


def test_every_scale_of_the_file_is_one_of_the_simulation(proof):
    spans = [span.limits() for span in proof.state.ranges] + [PROBABILITY, TANH, LOGARITHM]
    known = [(high - low) / 255.0 for low, high in spans]
    (graph, *_) = proof.artifact.model.graphs
    for tensor in graph.tensors:
        if tensor.dtype == "int8" and not tensor.is_constant:
            assert np.isclose(known, float(tensor.scale[0]), rtol=1e-5, atol=0.0).any(), tensor


@pytest.mark.parametrize("xnnpack", [True, False])
def test_every_operation_is_float_arithmetic_rounded(proof, xnnpack):
    content, (graph, *_) = proof.artifact.content, proof.artifact.model.graphs
    (spec,) = proof.artifact.inputs
    codes = {spec.index: spec.quantize(proof.x[:8])[:, None]}
    made = [t for op in graph.ops for t in op.outputs]
    codes |= ran(content, codes, made, preserve=True)
    reals = {k: real(graph.tensors[k], v) for k, v in codes.items()}
    integers, names = apart(content, in_floats=False)
    floats, places = apart(content, in_floats=True)
    got, wanted = ran(integers, codes, names.values(), xnnpack), ran(floats, reals, places.values())
    for op in graph.ops:
        for t in op.outputs:
            tensor = graph.tensors[t]
            exact = reals[op.inputs[0]] if op.name == "QUANTIZE" else wanted[places[t]]
            exact = exact.astype("float64") / float(tensor.scale[0]) + int(tensor.zero_point[0])
            gap = np.abs(got[names[t]] - np.clip(exact, -128.0, 127.0)).max()
            assert gap <= WIDER.get(op.name, BOUND), (op.name, proof.artifact.layer_of(op))


def real(tensor, codes):
    return ((codes.astype("float64") - int(tensor.zero_point[0])) * float(tensor.scale[0])).astype("float32")


def apart(content: bytes, in_floats: bool) -> tuple[bytes, dict[int, int]]:
    """A file of the same operations, each reading an input of the file; and the new tensors by the old ones."""
    model, (facts, *_) = unpack_file(content), read(content).graphs
    model.signatureDefs, graph = [], model.subgraphs[0]
    for tensor, fact in zip(graph.tensors, facts.tensors, strict=True):
        if in_floats and fact.scale is not None:
            as_floats(model, tensor, fact)
    given, names, ops = [], {}, []
    for op, fact in zip(graph.operators, facts.ops, strict=True):
        if in_floats and fact.name == "QUANTIZE":
            continue
        given += [t for t in fact.inputs if t >= 0 and not facts.tensors[t].is_constant]
        for t in fact.outputs:
            names[t] = len(graph.tensors)
            graph.tensors.append(copy.copy(graph.tensors[t]))
        op.outputs = np.array([names[t] for t in fact.outputs], np.int32)
        ops.append(op)
    graph.operators, graph.inputs = ops, np.array(list(dict.fromkeys(given)), np.int32)
    graph.outputs = np.array(list(names.values()), np.int32)
    return pack_model(model), names


def as_floats(model, tensor, fact) -> None:
    tensor.type, tensor.quantization = schema.TensorType.FLOAT32, None
    if not fact.is_constant:
        return
    shape = [1] * len(fact.shape)
    if fact.scale.size > 1:
        shape[fact.quantized_dimension] = -1
    steps = fact.data.astype("float64") - fact.zero_point.reshape(shape)
    buffer = schema.BufferT()
    buffer.data = np.frombuffer((steps * fact.scale.astype("float64").reshape(shape)).astype("<f4").tobytes(), np.uint8)
    tensor.buffer = len(model.buffers)
    model.buffers.append(buffer)


def ran(content: bytes, values: dict[int, np.ndarray], wanted, xnnpack: bool = False, preserve: bool = False) -> dict:
    """What tensors hold after each sample, `(samples, 1, ...)`."""
    kind = OpResolverType.AUTO if xnnpack else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(
        model_content=content, experimental_op_resolver_type=kind, experimental_preserve_all_tensors=preserve
    )
    interpreter.allocate_tensors()
    places = [detail["index"] for detail in interpreter.get_input_details()]
    found = {t: [] for t in wanted}
    for row in range(len(values[places[0]])):
        for t in places:
            interpreter.set_tensor(t, values[t][row])
        interpreter.invoke()
        for t, rows in found.items():
            rows.append(np.array(interpreter.get_tensor(t)))
    return {t: np.stack(rows) for t, rows in found.items()}


PADDED = {
    "pad": lambda x: K.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], constant_values=-3.0),
    "half": lambda x: K.cast(K.cast(x, "float16"), "float32"),
    "capped": L.ReLU(max_value=0.3),
    "where": lambda x: K.where(x > 0, x, -3.0),
    "clip": lambda x: K.clip(x, -0.1, 0.2),
}


@pytest.mark.parametrize("name", PADDED)
def test_a_node_between_kernels_costs_no_more_than_in_tensorflows_file(name):
    """Constants that a node brings count in its scale; against the float model, beside TensorFlow's own file."""
    keras.utils.set_random_seed(1)
    x = np.random.default_rng(0).random((64, *SHAPE), "float32")
    i = keras.Input(SHAPE)
    h = PADDED[name](L.Conv2D(4, 3, padding="same")(i))
    model = keras.Model(i, L.Dense(3)(L.Flatten()(L.Conv2D(4, 3)(h))))
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([row[None]] for row in x)
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stock = tfc.Artifact(converter.convert())
    wanted = model.predict(x, verbose=0)
    artifact = tfc.convert(model, calibration=x)
    ours, theirs = (np.sqrt(np.mean((a.predict(x) - wanted) ** 2)) / wanted.std() for a in (artifact, stock))
    assert artifact.is_integer and ours <= 1.2 * theirs
