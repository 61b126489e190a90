"""Wraps the private names of Keras that the package needs; `tests/graph/test_keras_private.py` pins them.

No other file uses such names, with these exceptions: models of Keras 2 are read in `legacy/network/nodes.py` and
`legacy/proof.py`; a mask is set on a tensor in `layer_table/integer_rewrites.py`.

A name that moved between versions is looked for in each of its places (`_module_name`, `_attribute`); where it is in
none, the error says so.
"""

import contextlib
import functools
import importlib
import types
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import Operation

from tfcompress.graph.variable_reads import NOT_FLOAT32, InFloat32

TRIED = "3.8 to 3.15"  # the tests ran with these versions of Keras
_ABSENT = object()


def _module_name(name: str, *places: str) -> Any:
    """Returns a private name of Keras from the first of several modules that has it."""
    for place in places:
        with contextlib.suppress(ImportError):
            found = getattr(importlib.import_module(place), name, _ABSENT)
            if found is not _ABSENT:
                return found
    raise ImportError(_moved(name, ", ".join(places)))


def _attribute(owner: Any, *names: str) -> Any:
    """Returns a private attribute of an object of Keras, under the first of its names in several versions."""
    for name in names:
        found = getattr(owner, name, _ABSENT)
        if found is not _ABSENT:
            return found
    raise AttributeError(_moved(names[0], type(owner).__name__))


def _moved(name: str, place: str) -> str:
    return (
        f"tfcompress needs {name!r}, which Keras does not publish, and Keras {keras.__version__} does not have it in "
        f"{place}. tfcompress was tested with Keras {TRIED}: install one of these, or a newer tfcompress."
    )


backend = _module_name("backend", "keras.src")
dtypes, global_state = (_module_name(name, "keras.src.backend.common") for name in ("dtypes", "global_state"))
AutocastScope = _module_name("AutocastScope", "keras.src.backend.common.variables", "keras.src.backend.common")
tf_utils = _module_name("tf_utils", "keras.src.utils")
RANDOM, NUMPY, ENCODING = backend.random, backend.numpy, tf_utils  # what functions and layers of Keras call
BACKEND_MODULES = tuple(getattr(backend, n) for n in ("numpy", "nn", "math", "core", "image", "linalg"))
DRAWN = tuple("normal uniform dropout truncated_normal randint categorical gamma binomial beta shuffle".split())


def children(op: Operation) -> list[Operation]:
    """Returns the operations directly inside a model or a composite layer, in graph order."""
    if isinstance(op, keras.Model) and hasattr(op, "operations"):
        return list(op.operations)
    return list(op._flatten_layers(include_self=False, recursive=False)) if hasattr(op, "_flatten_layers") else []


def layers_inside(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Returns all layers inside a layer, however deep."""
    return list(_attribute(layer, "_flatten_layers")(include_self=False))


def full_precision(variable: keras.Variable):
    """Returns a variable's value without the cast to a layer's compute dtype; float16 and float64 become float32."""
    with AutocastScope(None):
        # a variable of TensorFlow's own, which a TFSMLayer of older versions holds, has a method of this name
        value = tf.convert_to_tensor(variable if isinstance(variable, tf.Variable) else variable.value)
    return tf.cast(value, tf.float32) if value.dtype.name in NOT_FLOAT32 else value


@contextlib.contextmanager
def float32(model: keras.Model) -> Iterator[None]:
    """Runs a model of float16, float64 or mixed precision in float32 while the block runs.

    A float64 can arise by accident: a factor like `np.sqrt(8.0)` makes one of every number it is multiplied with.
    """
    layers = [model, *layers_inside(model)]
    before = [(layer, layer.dtype_policy) for layer in layers if getattr(layer, "compute_dtype", None) in NOT_FLOAT32]
    read = InFloat32(model.variables)
    for layer, _ in before:
        layer._dtype_policy = keras.DTypePolicy("float32")
    try:
        with read if read.others else contextlib.nullcontext(), override_attributes(_NARROWED + _casts(layers)):
            yield
    finally:
        for layer, policy in before:
            layer._dtype_policy = policy


def _casts(layers: list) -> list[tuple[Any, str, Any]]:
    """Returns overrides with which the casts that Keras 3.8 puts in front of layers of half precision do nothing."""
    found = [op for layer in layers for op in getattr(layer, "operations", ()) if type(op).__name__ == "Cast"]
    return [(op, "dtype", "float32") for op in found if op.dtype in NOT_FLOAT32]


def _narrowed(plain: Callable) -> Callable:
    """Returns Keras' choice of a common type for numbers, with float32 instead of float64."""

    def result_type(*types):
        found = plain(*types)
        return "float32" if found == "float64" else found

    return result_type


_NARROWED = [(owner, "result_type", _narrowed(dtypes.result_type)) for owner in (dtypes, backend)]


@contextlib.contextmanager
def override_attributes(changes: list[tuple[Any, str, Any]]) -> Iterator[None]:
    """Overrides attributes of objects and classes while the block runs, without Keras' attribute tracking."""
    held = [(owner, name, owner.__dict__.get(name, _ABSENT)) for owner, name, _ in changes]
    try:
        for owner, name, value in changes:
            _set(owner, name, value)
        yield
    finally:
        for owner, name, value in reversed(held):
            _set(owner, name, value)


def _set(owner: Any, name: str, value: Any) -> None:
    if isinstance(
        owner, (type, types.ModuleType)
    ):  # the dict of a class can't be written to, a module may keep another
        setattr(owner, name, value) if value is not _ABSENT else delattr(owner, name)
    elif value is _ABSENT:
        owner.__dict__.pop(name, None)
    else:
        owner.__dict__[name] = value


def input_specs(model: keras.Model, batch: int | None = None):
    """Returns `TensorSpec`s in the structure the model's call takes.

    Raises:
        ValueError: If the model was never built on data, so that its input is unknown.
    """
    inputs = getattr(model, "_inputs_struct", None)
    if inputs is None and isinstance(model, keras.Sequential) and model.built:
        inputs = _attribute(_attribute(model, "_functional"), "_inputs_struct")
    if inputs is not None:
        # the tensor's own name is another one after loading; the input layer keeps its name
        return keras.tree.map_structure(lambda x: _spec(x.shape, x.dtype, maker_of(x).name, batch), inputs)
    shapes = model.get_build_config() or {}
    shape = shapes.get("input_shape") or shapes.get("shapes_dict")
    if not model.built or not shape:
        raise ValueError(
            f"Model {model.name!r} is not built, so its input shape is unknown. Call it once on a batch of data first."
        )
    if isinstance(shape, dict) and len(shape) == 1:
        (shape,) = shape.values()
    specs = _specs_of_shapes(shape, model.input_dtype, batch)
    flat = keras.tree.flatten(specs)
    if model not in _whole_inputs:  # Keras keeps the shapes of a subclassed model's inputs, not their types
        _whole_inputs[model] = _taken_as_whole(model, specs)
    typed = [
        tf.TensorSpec(s.shape, tf.int32 if k in _whole_inputs[model] else s.dtype, s.name) for k, s in enumerate(flat)
    ]
    return keras.tree.pack_sequence_as(specs, typed)


_whole_inputs: "weakref.WeakKeyDictionary[keras.Model, frozenset[int]]" = weakref.WeakKeyDictionary()


def _taken_as_whole(model: keras.Model, specs) -> frozenset[int]:
    """Returns the numbers of the inputs that the call of a model only casts to integers, as those of token ids."""

    def forward(*tensors):
        model.call(
            keras.tree.pack_sequence_as(specs, list(tensors)), **{"training": False} if takes_training(model) else {}
        )
        return tf.zeros(())

    scope = keras.StatelessScope(collect_losses=True, initialize_variables=False)
    try:
        with scope:
            function = tf.function(forward, autograph=False).get_concrete_function(*keras.tree.flatten(specs))
    except Exception:  # the trace that follows shows the user what is wrong
        return frozenset()
    given = function.inputs[: len(keras.tree.flatten(specs))]
    return frozenset(k for k, x in enumerate(given) if x.dtype.is_floating and _is_only_cast_to_integers(x))


def _is_only_cast_to_integers(x) -> bool:
    readers = x.consumers()
    return bool(readers) and all(op.type == "Cast" and op.outputs[0].dtype.is_integer for op in readers)


def input_triples(model: keras.Model) -> list[tuple[str, tuple[int | None, ...], str]]:
    """Returns `(name, shape without batch, dtype)` of every input, in the order of the model's call."""
    return [(s.name, tuple(s.shape[1:]), s.dtype.name) for s in keras.tree.flatten(input_specs(model))]


def _spec(shape, dtype, name, batch):
    return tf.TensorSpec((batch, *shape[1:]), dtype, name=name)


def _specs_of_shapes(shape, dtype, batch):
    if isinstance(shape, dict):
        return {k: _spec(s, dtype, k, batch) for k, s in shape.items()}
    if shape and isinstance(shape[0], (list, tuple)):
        return [_spec(s, dtype, f"input_{i}", batch) for i, s in enumerate(shape)]
    return _spec(tuple(shape), dtype, "input", batch)


def check_graph(model: keras.Model):
    """Returns the Functional graph of a model.

    Raises:
        ValueError: If the model is subclassed, so that it has none.
    """
    if not has_graph(model):
        raise ValueError(_no_graph(model))
    return _attribute(model, "_functional") if isinstance(model, keras.Sequential) else model


def has_graph(model: Operation) -> bool:
    """Whether an operation is a model whose call is a graph of layers (Functional or Sequential), not custom code."""
    return hasattr(model, "_nodes_by_depth") or isinstance(model, keras.Sequential) and model.built


def _no_graph(model) -> str:
    return (
        f"Model {model.name!r} ({type(model).__name__}) is subclassed, or a Sequential that was never built: "
        f"it has no graph to rebuild. "
        "Use the callback tfc.Compression, which works on it as it is, or write the model with the Functional API."
    )


def constants(layer: Operation) -> list[tuple[keras.Variable, np.ndarray]]:
    """Returns every variable of a layer with its value; float16 and float64 become float32."""
    return [(v, np.asarray(full_precision(v))) for v in getattr(layer, "variables", [])]


def recurrent(model: keras.Model) -> list[keras.layers.Layer]:
    """Returns the recurrent layers of a model, however deeply nested."""
    return [layer for layer in layers_inside(model) if isinstance(layer, keras.layers.RNN)]


def no_dropout_masks(model: keras.Model) -> list[tuple[Any, str, Any]]:
    """Returns overrides that keep recurrent layers from drawing dropout masks, which they do at inference too."""
    cells = [layer for layer in layers_inside(model) if hasattr(layer, "get_dropout_mask")]
    return [(cell, name, 0.0) for cell in cells for name in ("dropout", "recurrent_dropout")]


@dataclass(frozen=True)
class AttentionParts:
    """The projections, equations and settings of a multi-head attention layer.

    Args:
        query: Projection of the queries.
        key: Projection of the keys.
        value: Projection of the values.
        output: Projection of the result.
        gate: Projection of a gate on the result, or None.
        scores: Equation of the scores.
        key_first: Whether the keys are the equation's first operand.
        combine: Equation of weights and values.
        factor: Factor of the scores.
        axes: Number of axes that a softmax goes over.
        dropout: The layer that drops weights.
        drops: Whether it does.
    """

    query: Operation
    key: Operation
    value: Operation
    output: Operation
    gate: Operation | None
    scores: str
    key_first: bool
    combine: str
    factor: float
    axes: int
    dropout: Operation
    drops: bool


def attention_parts(layer: keras.layers.Layer) -> AttentionParts:
    """Returns the parts of a built MultiHeadAttention or GroupQueryAttention."""
    grouped = isinstance(layer, keras.layers.GroupQueryAttention)
    return AttentionParts(
        _attribute(layer, "_query_dense"),
        _attribute(layer, "_key_dense"),
        _attribute(layer, "_value_dense"),
        _attribute(layer, "_output_dense"),
        getattr(layer, "_gate_dense", None),
        _attribute(layer, "_dot_product_equation"),
        not grouped,
        _attribute(layer, "_combine_equation"),
        _attribute(layer, "_inverse_sqrt_head_dim" if grouped else "_inverse_sqrt_key_dim"),
        1 if grouped else len(_attribute(layer, "_attention_axes")),
        _attribute(layer, "_dropout_layer"),
        layer.dropout > 0,
    )


@functools.cache
def zeroes_what_is_masked() -> bool:
    """Whether a Softmax whose inputs are all masked gives zeros; before Keras 3.14 it gives equal shares."""
    with tf.init_scope():
        softmax = keras.layers.Softmax(name="masked")
        return not np.any(softmax(tf.zeros((1, 2)), mask=tf.constant([[False, False]])))


def output_names(model: keras.Model) -> list[str]:
    """Returns the names of the outputs, `output_0`... where the model has none."""
    names = getattr(model, "output_names", None)
    return list(names) if names else []


def keep_input_dtypes(model: keras.Model) -> list[tuple[Any, str, Any]]:
    """Returns overrides with which a model does not convert the dtype of its inputs."""
    graph = getattr(model, "_functional", model) if isinstance(model, keras.Sequential) else model
    name = "_convert_inputs_to_tensors"
    return [(graph, name, lambda flat: flat)] if hasattr(graph, name) else []


def twin(layer: keras.layers.Layer, name: str) -> keras.layers.Layer:
    """Returns a layer of another name that shares everything with a layer, its weights and the layers inside too."""
    made = object.__new__(type(layer))
    made.__dict__.update(layer.__dict__)
    made.__dict__.update(name=name, _inbound_nodes=[], _outbound_nodes=[])
    return made


def keras_mask(x: Any) -> Any:
    """Returns the mask of padded steps that Keras attached to a tensor; None if there is none."""
    return backend.get_keras_mask(x)


def maker_of(x: keras.KerasTensor) -> Operation:
    """Returns the operation that made a symbolic tensor."""
    return _attribute(x, "_keras_history").operation


def call_arguments(op: Operation) -> list:
    """Returns the arguments, flat, of an operation that a Functional model calls once; none of any other."""
    nodes = getattr(op, "_inbound_nodes", [])
    if len(nodes) != 1:
        return []
    return keras.tree.flatten((nodes[0].arguments.args, nodes[0].arguments.kwargs))


def set_keras_mask(x: Any, mask: Any) -> None:
    """Attaches a mask of padded steps to a tensor."""
    backend.set_keras_mask(x, mask)


def is_training() -> bool:
    """Whether the running call of a model or layer has `training=True`."""
    context = global_state.get_global_attribute("current_call_ctx")
    if context is None:
        return False
    found = _attribute(context, "get_value", "training")  # a field until Keras 3.9
    return bool(found("training") if callable(found) else found)


def takes_training(layer: Operation) -> bool:
    """Whether the call of a layer has a `training` argument."""
    return bool(getattr(layer, "_call_has_training_arg", False))


def nodes_in_order(graph: keras.Model) -> list:
    """Returns the calls of operations in a Functional graph, in order of execution."""
    by_depth = _attribute(graph, "_nodes_by_depth")
    return [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]


def output_structure(graph: keras.Model):
    """Returns the outputs of a Functional graph in the structure in which its call gives them."""
    return _attribute(graph, "_outputs_struct")


def merge_function(layer: keras.layers.Layer) -> Callable:
    """Returns the function by which a merging layer makes one tensor of several."""
    return _attribute(layer, "_merge_function")


def reloaded_object(layer: keras.layers.Layer) -> object:
    """Returns what TensorFlow loaded for a TFSMLayer."""
    return _attribute(layer, "_reloaded_obj")
