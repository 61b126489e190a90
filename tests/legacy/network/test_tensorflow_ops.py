"""Each row of the table computes what TensorFlow does; other calls are refused with the layer's name."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfcompress.legacy.network.tensorflow_ops import CLASSES, FUNCTIONS, NODES, call
from tfcompress.legacy.port import port
from tfcompress.legacy.refused import NotPorted

pytestmark = [
    pytest.mark.legacy,
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file:UserWarning"),
]

X = np.random.default_rng(0).uniform(0.2, 2.0, (2, 4, 4)).astype("float32")
ARGUMENTS = {
    "math.pow": (X, 3.0),
    "__operators__.getitem": None,  # tested below
    "nn.bias_add": (X, [1.0, 2.0, 3.0, 4.0]),
    "reshape": (X, [-1, 16]),
    "transpose": (X, [0, 2, 1]),
    "expand_dims": (X, 1),
    "squeeze": (X[:, :1], 1),
    "concat": ([X, X], 1),
    "stack": ([X, X], 1),
    "split": (X, [1, 3], 1),
    "tile": (X, [1, 2, 3]),
    "cast": (X, "int32"),
    "clip_by_value": (X, 0.5, 1.0),
    "linalg.matmul": (X, X),
    "pad": (X, [[0, 0], [1, 2], [0, 1]], "REFLECT"),
    "image.resize": (X[..., None], [8, 8], "nearest"),
    "math.l2_normalize": (X, -1),
    "math.reduce_mean": (X, 1, True),
}
TWO = {"__operators__.add", *(f"math.{n}" for n in ("add subtract multiply truediv divide maximum minimum").split())}


def tensorflow_function(name):
    if name == "__operators__.add":
        return tf.add
    found = tf
    for part in name.split("."):
        found = getattr(found, part)
    return found


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_row_computes_what_tensorflow_does(name):
    arguments = ARGUMENTS.get(name, (X, 2.0 * X) if name in TWO else (X - 1.0 if "log" not in name else X,))
    if arguments is None:
        return
    if name in ("math.sqrt", "math.rsqrt"):
        arguments = (X,)
    entry = {"class_name": "TFOpLambda", "config": {"function": name}}
    given = [tf.constant(a) if isinstance(a, np.ndarray) else a for a in arguments]
    if name in ("concat", "stack"):
        given[0] = [tf.constant(each) for each in arguments[0]]
    found = call(entry, "layer", given, {})
    expected = tensorflow_function(name)(*arguments)
    for f, e in zip(keras.tree.flatten(found), keras.tree.flatten(expected), strict=True):
        np.testing.assert_allclose(f, e, rtol=1e-5, atol=1e-6)


def test_slices():
    entry = {"class_name": CLASSES[1], "config": {"function": "__operators__.getitem"}}
    spec = [{"start": None, "stop": None, "step": None}, {"start": 1, "stop": None, "step": 2}, -1]
    np.testing.assert_array_equal(call(entry, "a", [tf.constant(X)], {"slice_spec": spec}), X[:, 1::2, -1])


def test_every_node_of_a_graph_leads_to_a_row():
    assert set(NODES.values()) <= set(FUNCTIONS)


@pytest.mark.parametrize(
    ("function", "options", "text"),
    [
        ("linalg.svd", {}, "no keras.ops call is known for tf.linalg.svd"),
        ("linalg.matmul", {"b": X, "transpose_b": True}, "tf.linalg.matmul has no equivalent: a transposed factor"),
        ("nn.relu", {"strange": 1}, "tf.nn.relu has no equivalent"),
        ("nn.silu", {"beta": 2.0}, "beta=2.0"),
    ],
)
def test_other_calls_are_refused(function, options, text):
    entry = {"class_name": "TFOpLambda", "config": {"function": function}}
    with pytest.raises(NotPorted, match=rf"'some' \(TFOpLambda\).*{text}"):
        call(entry, "some", [tf.constant(X)], options)


def test_what_is_switched_off_says_nothing():
    entry = {"class_name": "TFOpLambda", "config": {"function": "compat.v1.transpose"}}
    found = call(entry, "some", [tf.constant(X)], {"perm": [0, 2, 1], "conjugate": False, "name": None})
    np.testing.assert_array_equal(found, X.transpose(0, 2, 1))


def test_operations_as_tensorflow_2_0_stored_them(tmp_path, difference, edited):
    tf_keras = pytest.importorskip("tf_keras")
    x = tf_keras.Input((4,), name="x")
    model = tf_keras.Model(x, 2.0 - tf_keras.layers.Dense(3, name="dense")(x))
    model.save(tmp_path / "model.h5")

    def with_node(config):
        layers = config["config"]["layers"]
        node = {"name": "sub", "op": "Sub", "input": ["sub/x", "dense/Identity"], "attr": {"T": {"type": "DT_FLOAT"}}}
        inner = {"name": "sub", "trainable": True, "dtype": "float32", "node_def": node, "constants": {"0": 2.0}}
        layers[-1] = {
            "class_name": "TensorFlowOpLayer",
            "name": "tf_op_layer_sub",
            "config": inner,
            "inbound_nodes": [[["dense", 0, 0, {}]]],
        }
        config["config"]["output_layers"] = [["tf_op_layer_sub", 0, 0]]

    edited(tmp_path / "model.h5", with_node)
    found = port(tmp_path / "model.h5")
    assert "tf_op_layer_sub" in [op.name for op in found.operations]
    assert difference(model, found) <= 1e-6
