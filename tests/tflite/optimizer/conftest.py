"""Integer graphs drawn at random, with channels that are dead, constant or unread, straight as files."""

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from tfcompress.tflite.schema.flatbuffer import IDENTIFIER

RELUS = (0, 1, 3)  # none, relu, relu6
WIDEST = 8  # channels a layer may have


class Drawing:
    """A file under construction: tensors and operations are appended, `content` writes it."""

    def __init__(self, seed, shape=(1, 6, 6, 4)):
        self.rng = np.random.default_rng(seed)
        self.codes, self.buffers, self.tensors, self.ops = [], [schema.BufferT()], [], []
        self.x = self.activation(shape)
        self.outputs = []

    def activation(self, shape, scale=None, zero=None):
        scale = self.rng.choice([0.02, 0.05, 0.11]) if scale is None else scale
        zero = int(self.rng.choice([-128, -128, 0, -20, 5])) if zero is None else zero
        return self.tensor(shape, schema.TensorType.INT8, [scale], [zero])

    def tensor(self, shape, kind, scales=None, zeros=None, axis=0, data=None):
        quantization = None
        if scales is not None:
            quantization = schema.QuantizationParametersT(
                scale=np.array(scales, np.float32), zeroPoint=np.array(zeros, np.int64), quantizedDimension=axis
            )
        buffer = 0
        if data is not None:
            buffer = len(self.buffers)
            self.buffers.append(schema.BufferT(data=np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)))
        name = f"tensor_{len(self.tensors)}".encode()
        self.tensors.append(
            schema.TensorT(shape=list(shape), type=kind, quantization=quantization, buffer=buffer, name=name)
        )
        return len(self.tensors) - 1

    def op(self, name, inputs, output, kind, options):
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, name)
        code.version = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4, "RESHAPE": 1}.get(name, 2)
        self.codes.append(code)
        self.ops.append(
            schema.OperatorT(
                opcodeIndex=len(self.codes) - 1, inputs=list(inputs), outputs=[output],
                builtinOptionsType=getattr(schema.BuiltinOptions, kind), builtinOptions=options,
            )
        )  # fmt: skip
        return output

    def shape(self, index):
        return tuple(self.tensors[index].shape)

    def scale(self, index):
        return float(self.tensors[index].quantization.scale[0])

    def zero(self, index):
        return int(self.tensors[index].quantization.zeroPoint[0])

    def weights(self, shape, axis, x, per_channel=True):
        """A kernel with rows and columns of zeros, and a bias that clamps some outputs; both as tensors."""
        kernel = self.rng.integers(-20, 21, shape)
        outputs = shape[axis]
        dead = self.rng.random(outputs) < self.rng.choice([0, 0.3, 0.7])
        kernel[tuple(dead if k == axis else slice(None) for k in range(len(shape)))] = 0
        if axis == 0:
            kernel[..., self.rng.random(shape[-1]) < self.rng.choice([0, 0.3])] = 0
        if len(shape) == 4 and self.rng.random() < 0.2 and shape[1] == 3:
            kernel[:, [0, 2]] = kernel[:, :, [0, 2]] = 0
        scales = self.rng.uniform(0.005, 0.02, outputs if per_channel else 1)
        w = self.tensor(shape, schema.TensorType.INT8, scales, np.zeros(len(scales)), axis, kernel.astype(np.int8))
        bias = np.where(
            self.rng.random(outputs) < 0.3, self.rng.integers(-200_000, 200_000, outputs),
            self.rng.integers(-3000, 3000, outputs),
        )  # fmt: skip
        zeros = np.zeros(len(scales))
        b = self.tensor([outputs], schema.TensorType.INT32, scales * self.scale(x), zeros, 0, bias.astype(np.int32))
        return w, b

    def conv(self, x, filters, size=3, stride=1, padding=0, activation=1):
        n, h, w, c = self.shape(x)
        k, b = self.weights((filters, size, size, c), 0, x)
        y = self.activation((n, *self.sides(h, w, size, stride, padding), filters))
        options = schema.Conv2DOptionsT(
            padding=padding, strideW=stride, strideH=stride, fusedActivationFunction=activation
        )
        return self.op("CONV_2D", [x, k, b], y, "Conv2DOptions", options)

    def depthwise(self, x, multiplier=1, size=3, stride=1, padding=0, activation=1):
        n, h, w, c = self.shape(x)
        k, b = self.weights((1, size, size, c * multiplier), 3, x)
        y = self.activation((n, *self.sides(h, w, size, stride, padding), c * multiplier))
        options = schema.DepthwiseConv2DOptionsT(
            padding=padding, strideW=stride, strideH=stride, depthMultiplier=multiplier,
            fusedActivationFunction=activation,
        )  # fmt: skip
        return self.op("DEPTHWISE_CONV_2D", [x, k, b], y, "DepthwiseConv2DOptions", options)

    def dense(self, x, units, activation=0, per_channel=False, has_bias=True):
        inputs = int(np.prod(self.shape(x)[1:]))
        k, b = self.weights((units, inputs), 0, x, per_channel)
        y = self.activation((1, units))
        options = schema.FullyConnectedOptionsT(fusedActivationFunction=activation)
        return self.op("FULLY_CONNECTED", [x, k, b if has_bias else -1], y, "FullyConnectedOptions", options)

    def pair(self, name, a, b, activation=0):
        y = self.activation(self.shape(a))
        kind = f"{name.capitalize()}Options"
        return self.op(name, [a, b], y, kind, getattr(schema, kind + "T")(fusedActivationFunction=activation))

    def pool(self, name, x, stride=2, padding=1):
        n, h, w, c = self.shape(x)
        y = self.like(x, (n, *self.sides(h, w, 2, stride, padding), c))
        options = schema.Pool2DOptionsT(padding=padding, strideW=stride, strideH=stride, filterWidth=2, filterHeight=2)
        return self.op(name, [x], y, "Pool2DOptions", options)

    def pad(self, x):
        n, h, w, c = self.shape(x)
        paddings = np.array([[0, 0], [1, 0], [0, 1], [0, 0]], np.int32)
        y = self.like(x, (n, h + 1, w + 1, c))
        return self.op("PAD", [x, self.integers(paddings)], y, "PadOptions", schema.PadOptionsT())

    def mean(self, x):
        y = self.activation((1, self.shape(x)[-1]))
        axes = self.integers(np.array([1, 2], np.int32))
        return self.op("MEAN", [x, axes], y, "ReducerOptions", schema.ReducerOptionsT())

    def quantize(self, x):
        y = self.activation(self.shape(x))
        return self.op("QUANTIZE", [x], y, "QuantizeOptions", schema.QuantizeOptionsT())

    def logistic(self, x):
        y = self.activation(self.shape(x), 1 / 256, -128)
        return self.op("LOGISTIC", [x], y, "NONE", None)

    def relu(self, x):
        return self.op("RELU", [x], self.like(x, self.shape(x)), "NONE", None)

    def flatten(self, x):
        size = int(np.prod(self.shape(x)))
        shape = self.integers(np.array([1, size], np.int32))
        options = schema.ReshapeOptionsT(newShape=[1, size])
        return self.op("RESHAPE", [x, shape], self.like(x, (1, size)), "ReshapeOptions", options)

    def join(self, a, b):
        y = self.like(a, (*self.shape(a)[:-1], self.shape(a)[-1] + self.shape(b)[-1]))
        return self.op("CONCATENATION", [a, b], y, "ConcatenationOptions", schema.ConcatenationOptionsT(axis=3))

    def softmax(self, x):
        y = self.activation(self.shape(x), 1 / 256, -128)
        return self.op("SOFTMAX", [x], y, "SoftmaxOptions", schema.SoftmaxOptionsT(beta=1.0))

    def constant(self, shape):
        values = self.rng.integers(-128, 128, shape).astype(np.int8)
        return self.tensor(shape, schema.TensorType.INT8, [0.03], [3], 0, values)

    def like(self, x, shape):
        return self.activation(shape, self.scale(x), self.zero(x))

    def integers(self, values):
        return self.tensor(values.shape, schema.TensorType.INT32, data=values)

    @staticmethod
    def sides(h, w, size, stride, padding):
        if padding == 0:
            return [-(-side // stride) for side in (h, w)]
        return [(side - size) // stride + 1 for side in (h, w)]

    def model(self):
        graph = schema.SubGraphT(
            tensors=self.tensors, inputs=[self.x], outputs=self.outputs, operators=self.ops, name=b"main"
        )
        return schema.ModelT(version=3, operatorCodes=self.codes, subgraphs=[graph], buffers=self.buffers)

    @property
    def content(self):
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model().Pack(builder), IDENTIFIER)
        return bytes(builder.Output())


def drawn(seed):
    """A random graph of five to twelve operations and one or two outputs."""
    d = Drawing(seed, (1, 6, 6, int(np.random.default_rng(seed).integers(1, 5))))
    rng = d.rng
    known = [d.conv(d.x, int(rng.integers(2, WIDEST + 1)), activation=int(rng.choice(RELUS)))]
    for _ in range(int(rng.integers(3, 10))):
        x = known[-1] if rng.random() < 0.7 else known[int(rng.integers(len(known)))]
        known.append(_step(d, rng, known, x))
    last = known[-1]
    if rng.random() < 0.3:
        last = d.mean(last)
    elif rng.random() < 0.6:
        last = d.flatten(last)
    while rng.random() < 0.4:
        last = d.dense(last, int(rng.integers(1, 3 * WIDEST)), int(rng.choice(RELUS)), per_channel=rng.random() < 0.5)
    y = d.dense(last, 5, per_channel=rng.random() < 0.5, has_bias=rng.random() < 0.7)
    d.outputs = [d.softmax(y)] if rng.random() < 0.2 else [y]
    if rng.random() < 0.2:
        d.outputs.append(known[int(rng.integers(len(known)))])
    return d


def _step(d, rng, known, x):
    n, h, w, c = d.shape(x)
    filters, activation = int(rng.integers(1, WIDEST + 1)), int(rng.choice(RELUS))
    size = int(rng.choice([1, 3])) if min(h, w) >= 3 else 1
    where = {"size": size, "stride": int(rng.choice([1, 2])), "padding": int(rng.choice([0, 1]))}
    same = [y for y in known if d.shape(y) == d.shape(x)]
    other = same[int(rng.integers(len(same)))]
    choices = {
        "conv": lambda: d.conv(x, filters, activation=activation, **where),
        "depthwise": lambda: d.depthwise(x, int(rng.choice([1, 1, 2])), activation=activation, **where),
        "sum": lambda: d.pair(str(rng.choice(["ADD", "SUB", "MUL"])), x, other, activation),
        "residual": lambda: d.pair("ADD", x, d.conv(d.conv(x, filters), c, 1, activation=activation), activation),
        "constant": lambda: d.pair(str(rng.choice(["ADD", "MUL"])), x, d.constant(rng.choice([1, c], 1).tolist())),
        "gate": lambda: d.pair("MUL", x, d.conv(d.logistic(d.conv(x, c, 1)), c, 1)),
        "pool": lambda: d.pool(str(rng.choice(["MAX_POOL_2D", "AVERAGE_POOL_2D"])), x) if min(h, w) >= 2 else x,
        "pad": lambda: d.pad(x),
        "quantize": lambda: d.quantize(x),
        "relu": lambda: d.relu(x),
        "join": lambda: d.join(x, d.pool("MAX_POOL_2D", x, 1, 0)),
    }
    weights = {"conv": 4, "depthwise": 4, "sum": 3, "residual": 3}
    names = [name for name in choices for _ in range(weights.get(name, 1))]
    return choices[str(rng.choice(names))]()


def interpreter(content, xnnpack, preserve=False):
    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    made = Interpreter(
        model_content=content,
        experimental_op_resolver_type=OpResolverType.AUTO if xnnpack else plain,
        experimental_preserve_all_tensors=preserve,
        num_threads=1,
    )
    made.allocate_tensors()
    return made


def answers(content, inputs, xnnpack):
    """The bytes of all outputs for each input."""
    made = interpreter(content, xnnpack)
    (detail,) = made.get_input_details()
    found = []
    for x in inputs:
        made.set_tensor(detail["index"], x)
        made.invoke()
        found.append(b"".join(made.get_tensor(each["index"]).tobytes() for each in made.get_output_details()))
    return found


def codes(shape, count, seed=0):
    """Random codes, and the two ends."""
    rng = np.random.default_rng(seed)
    inputs = list(rng.integers(-128, 128, (count, *shape)).astype(np.int8))
    return [*inputs, np.full(shape, -128, np.int8), np.full(shape, 127, np.int8)]


@pytest.fixture(scope="session")
def draw():
    """Makes a random integer graph from a seed."""
    return drawn


@pytest.fixture(scope="session")
def drawing():
    """The class that builds files by hand."""
    return Drawing


@pytest.fixture(scope="session")
def run():
    """Runs a file: `run(content, inputs, xnnpack)`."""
    return answers


@pytest.fixture(scope="session")
def some_codes():
    """Inputs for a shape."""
    return codes


@pytest.fixture(scope="session")
def start():
    """Starts an interpreter: `start(content, xnnpack, preserve)`."""
    return interpreter
