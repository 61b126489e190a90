"""The graph of a live model: its operations, one trace of who feeds whom, and rebuilding.

The one file for names that Keras does not publish; `tests/mechanics/test_graph.py` pins each of them. (Models of Keras
2 are read in `legacy/nodes.py` and `legacy/proof.py`; a mask is handed on in `facts/integer_forms.py`.)
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import keras
import numpy as np
import tensorflow as tf
from keras.src import backend
from keras.src.backend.common import dtypes, global_state
from keras.src.backend.common.variables import AutocastScope
from keras.src.ops.operation import Operation
from keras.src.utils import tf_utils

from tfcompress.facts.spec import spec_of
from tfcompress.mechanics.noticing import Noticing, is_only_cast
from tfcompress.mechanics.variables import NOT_FLOAT32, InFloat32

RANDOM, NUMPY, ENCODING = backend.random, backend.numpy, tf_utils  # what functions and layers of Keras call
DRAWN = tuple("normal uniform dropout truncated_normal randint categorical gamma binomial beta shuffle".split())
_TRANSPARENT = ("Identity", "Cast", "StopGradient", "EnsureShape")


def children(op: Operation) -> list[Operation]:
    """Returns the operations directly inside a model or a composite layer, in graph order."""
    if isinstance(op, keras.Model) and hasattr(op, "operations"):
        return list(op.operations)
    return list(op._flatten_layers(include_self=False, recursive=False)) if hasattr(op, "_flatten_layers") else []


def layers_inside(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Returns all layers inside a layer, however deep."""
    return list(layer._flatten_layers(include_self=False))


def is_container(op: Operation) -> bool:
    """Whether the operation is a model, or a layer of unknown type made of other layers, to be looked into."""
    if isinstance(op, keras.Model):
        return True
    spec = spec_of(op)  # with axes: a type of yours that inherits them, whose weights are known by their paths
    return not spec.is_known and not spec.axes and bool(children(op))


def leaves(model: keras.Model) -> list[tuple[str, Operation]]:
    """Returns `(path, operation)` of everything that computes, nested models opened, each object once.

    The path joins the names of the containers and the operation with `/`; it is unique also where nested models
    use the same layer names.
    """
    found, seen = [], set()

    def visit(op, prefix):
        for child in children(op):
            if id(child) in seen:
                continue
            seen.add(id(child))
            path = f"{prefix}{child.name}"
            if is_container(child):
                visit(child, f"{path}/")
            else:
                found.append((path, child))

    visit(model, "")
    taken: dict[str, int] = {}
    unique = []
    for path, op in found:  # two nested models may share a name as well
        taken[path] = taken.get(path, -1) + 1
        unique.append((f"{path}:{taken[path]}" if taken[path] else path, op))
    return unique


def containers(model: keras.Model) -> list[tuple[str, Operation]]:
    """Returns `(path, operation)` of the models and composite layers inside a model, however deep, each once."""
    found = {}

    def visit(op, prefix):
        for child in children(op):
            if is_container(child) and id(child) not in found:
                found[id(child)] = (f"{prefix}{child.name}", child)
                visit(child, f"{prefix}{child.name}/")

    visit(model, "")
    return list(found.values())


def frozen(model: keras.Model) -> set[int]:
    """Returns the ids of the leaf operations that do not train, themselves or through a container."""
    ids = set()

    def visit(op, off):
        for child in children(op):
            stopped = off or getattr(child, "trainable", True) is False
            if is_container(child):
                visit(child, stopped)
            elif stopped:
                ids.add(id(child))

    visit(model, not model.trainable)
    return ids


def full_precision(variable: keras.Variable):
    """Returns a variable's value without the cast to a layer's own type; a float of another size as float32."""
    with AutocastScope(None):
        value = tf.convert_to_tensor(variable.value)
    return tf.cast(value, tf.float32) if value.dtype.name in NOT_FLOAT32 else value


@contextlib.contextmanager
def float32(model: keras.Model) -> Iterator[None]:
    """Runs a model of half floats, doubles or mixed precision in float32 for as long as the block lasts.

    Doubles come uncalled for as well: a factor like `np.sqrt(8.0)` makes one of every number it meets.
    """
    layers = [model, *model._flatten_layers(include_self=False)]
    before = [(layer, layer.dtype_policy) for layer in layers if getattr(layer, "compute_dtype", None) in NOT_FLOAT32]
    read = InFloat32(model.variables)
    for layer, _ in before:
        layer._dtype_policy = keras.DTypePolicy("float32")
    try:
        with read if read.others else contextlib.nullcontext(), overridden(_NARROWED):
            yield
    finally:
        for layer, policy in before:
            layer._dtype_policy = policy


def _narrowed(plain: Callable) -> Callable:
    """Keras' choice of a type for two numbers, float32 instead of float64."""

    def result_type(*types):
        found = plain(*types)
        return "float32" if found == "float64" else found

    return result_type


_NARROWED = [(owner, "result_type", _narrowed(dtypes.result_type)) for owner in (dtypes, backend)]


@contextlib.contextmanager
def overridden(changes: list[tuple[object, str, object]]) -> Iterator[None]:
    """Lays attributes over instances, past Keras' attribute tracking, and takes them off again."""
    held = [(owner, name, owner.__dict__.get(name, _ABSENT)) for owner, name, _ in changes]
    try:
        for owner, name, value in changes:
            owner.__dict__[name] = value
        yield
    finally:
        for owner, name, value in reversed(held):
            if value is _ABSENT:
                owner.__dict__.pop(name, None)
            else:
                owner.__dict__[name] = value


_ABSENT = object()


@dataclass(frozen=True)
class Call:
    """One call of an operation; `inputs` and `outputs` name tensors by number, None where the source is unknown.

    Of masks, which are no values, only `masked` tells.
    """

    op: Operation
    inputs: tuple[int | None, ...]
    outputs: tuple[int, ...]
    shapes: tuple[tuple[int | None, ...], ...]
    dtypes: tuple[str, ...]
    masked: bool = False


@dataclass
class Trace:
    """Who feeds whom in one forward pass.

    Args:
        calls: In order of execution.
        inputs: Numbers of the model's input tensors.
        outputs: Numbers of its output tensors, None where no known operation made one.
        float_inputs: Names by number of the inputs of integers that are only cast to float.
        noticed: What else happens inside: random draws, weights read by others than their owner.
        function: The traced function.
    """

    calls: list[Call] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int | None] = field(default_factory=list)
    input_dtypes: list[str] = field(default_factory=list)
    float_inputs: dict[int, str] = field(default_factory=dict)
    noticed: Noticing | None = None
    function: object = None

    def unknown(self) -> list[Operation]:
        """Returns the operations fed by a tensor that no known operation made."""
        return [call.op for call in self.calls if None in call.inputs]


def input_specs(model: keras.Model, batch: int | None = None):
    """Returns `TensorSpec`s in the structure the model's call takes.

    Raises:
        ValueError: If the model was never built on data, so that nobody knows its input.
    """
    inputs = getattr(model, "_inputs_struct", None)
    if inputs is None and isinstance(model, keras.Sequential) and model.built:
        inputs = model._functional._inputs_struct
    if inputs is not None:
        # the tensor's own name is another one after loading; the input layer keeps its name
        return keras.tree.map_structure(
            lambda x: _spec(x.shape, x.dtype, x._keras_history.operation.name, batch), inputs
        )
    shapes = model.get_build_config() or {}
    shape = shapes.get("input_shape") or shapes.get("shapes_dict")
    if not model.built or not shape:
        raise ValueError(
            f"Model {model.name!r} is not built, so its input shape is unknown. Call it once on a batch of data first."
        )
    if isinstance(shape, dict) and len(shape) == 1:
        (shape,) = shape.values()
    return _specs_of_shapes(shape, model.input_dtype, batch)


def is_built(model: keras.Model) -> bool:
    """Whether the model and every layer in it have their weights."""
    return model.built and all(getattr(op, "built", True) for _, op in leaves(model))


def build(model: keras.Model, batch) -> None:
    """Builds a model as its first batch would.

    Args:
        model: A model that is not built.
        batch: `TensorSpec`s of a batch: `x`, `(x, y)` or `(x, y, sample_weight)`.

    Raises:
        ValueError: If nothing is known of the batch.
    """
    if batch is None:
        raise ValueError(
            f"Model {model.name!r} is not built, and its first batch tells no shapes. "
            "Call it once on a batch of data before training."
        )
    x, _, _ = keras.utils.unpack_x_y_sample_weight(batch)
    model(keras.tree.map_structure(lambda s: keras.KerasTensor((None, *s.shape[1:]), s.dtype.name), x))


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


def trace(model: keras.Model) -> Trace:
    """Runs the model once on symbolic tensors and notes every call of a leaf operation.

    Works on Functional, Sequential and subclassed models, with nested models, shared layers and `keras.ops` nodes.
    What an operation does is in a name scope `tfc<number>_`, counted through `leaves` and then `containers`.
    """
    found, numbers, kept = Trace(), {}, []

    def number(x, new=False):
        while not new and id(x) not in numbers and getattr(x, "op", None) is not None and x.op.type in _TRANSPARENT:
            x = x.op.inputs[0]
        if new and id(x) not in numbers:
            numbers[id(x)] = len(numbers)
            kept.append(x)  # an id is only good while the object lives
        return numbers.get(id(x))

    def recording(op, call):
        def recorded(*args, **kwargs):
            # a mask of padded steps says what counts, it is no value
            passed = _tensors((args, kwargs))
            given = [x for x in passed if x.dtype != tf.bool]
            sources = tuple(number(x) for x in given)
            with noticed.inside(op), tf.name_scope(f"tfc{places[id(op)]}_"):
                outputs = call(*args, **kwargs)
            made = _tensors(outputs)
            # an operation that hands its input through (Dropout) makes no new tensor
            new = tuple(number(x, new=True) for x in made)
            shapes, dtypes = tuple(tuple(x.shape) for x in made), tuple(x.dtype.name for x in made)
            masked = len(passed) > len(given) or kwargs.get("mask") is not None
            found.calls.append(Call(op, sources, new, shapes, dtypes, masked))
            return outputs

        return recorded

    specs = input_specs(model)
    flat = keras.tree.flatten(specs)

    def forward(*tensors):
        found.inputs = [number(x, new=True) for x in tensors]
        found.input_dtypes = [x.dtype.name for x in tensors]
        outputs = model.call(_packed(specs, tensors), **({"training": False} if model._call_has_training_arg else {}))
        found.outputs = [number(x) for x in _tensors(outputs)]
        return tf.zeros(())

    known = leaves(model)
    noticed = found.noticed = Noticing({id(v): op for _, op in known for v in getattr(op, "variables", [])})
    places = {id(op): k for k, (_, op) in enumerate([*known, *containers(model)])}
    laid = [(op, "call", recording(op, op.call)) for _, op in known]
    laid += [(op, "call", noticed.wrapped(op, op.call, places[id(op)])) for _, op in containers(model)]
    random = [(RANDOM, name, noticed.drawing_by(name, getattr(RANDOM, name))) for name in DRAWN]
    with float32(model), overridden([*laid, *random, *inference(model)]), noticed:
        found.function = tf.function(forward, autograph=False).get_concrete_function(*flat)
    tensors = zip(flat, found.function.inputs, strict=False)
    found.float_inputs = {k: s.name for k, (s, x) in enumerate(tensors) if is_only_cast(x)}
    return found


def _packed(structure, tensors):
    return keras.tree.pack_sequence_as(structure, list(tensors))


def _tensors(structure) -> list:
    return [x for x in keras.tree.flatten(structure) if isinstance(x, tf.Tensor)]


def rebuild(
    model: keras.Model,
    replace: Callable[[str, Operation], Callable],
    entrance: Callable[[int, object], object] = lambda number, x: x,
) -> keras.Model:
    """Returns a flat Functional model in which every operation went through `replace(path, op) -> callable`.

    Args:
        model: A Functional or Sequential model.
        replace: What to call in place of an operation; asked once for each.
        entrance: Function `(number, tensor) -> tensor` applied to each input.

    Raises:
        ValueError: If the model is subclassed, so that it has no graph to rebuild.
    """
    made: dict[int, Callable] = {}

    def visit(path, op, args, kwargs, outputs):
        if id(op) not in made:
            made[id(op)] = replace(path, op)
        return made[id(op)](*args, **kwargs)

    check_graph(model)
    inputs = keras.tree.map_structure(
        lambda x: keras.Input(batch_shape=x.shape, dtype=x.dtype, name=x.name), input_specs(model)
    )
    entered = [entrance(k, x) for k, x in enumerate(keras.tree.flatten(inputs))]
    return keras.Model(inputs, walk(model, entered, visit), name=model.name)


def walk(model: keras.Model, inputs: list, visit: Callable):
    """Sends values of any kind through the graph of a model, nested models opened.

    Args:
        model: A Functional or Sequential model.
        inputs: One value per input tensor, in flat order; any object that is no container.
        visit: Function `(path, op, args, kwargs, outputs) -> values`, called for every call of a leaf operation in
            order of execution. `args` and `kwargs` are those of the call with values in the place of tensors;
            `outputs` are the tensors that the call made when the model was built; returned is one value for each, in
            their structure.

    Returns:
        The values of the model's outputs, in the structure of its outputs.

    Raises:
        ValueError: If the model, or one inside, is subclassed, so that it has no graph.
    """
    paths = {id(op): path for path, op in leaves(model)}

    def run(inner, given):
        graph = check_graph(inner)
        values = {id(x): value for x, value in zip(graph.inputs, given, strict=True)}
        for depth in sorted(graph._nodes_by_depth, reverse=True):
            for node in graph._nodes_by_depth[depth]:
                if node.is_input or not node.operation or any(id(x) not in values for x in node.input_tensors):
                    continue
                args, kwargs = node.arguments.fill_in(values)
                op = node.operation
                if isinstance(op, keras.Model):
                    made = run(op, keras.tree.flatten(args[0] if len(args) == 1 else args))
                else:
                    made = visit(paths.get(id(op), op.name), op, args, kwargs, node.outputs)
                for x, value in zip(node.outputs, keras.tree.flatten(made), strict=True):
                    values[id(x)] = value
        return keras.tree.pack_sequence_as(graph._outputs_struct, [values[id(x)] for x in graph.outputs])

    return run(model, inputs)


def check_graph(model: keras.Model):
    """Returns the Functional graph of a model.

    Raises:
        ValueError: If the model is subclassed, so that it has none.
    """
    if not has_graph(model):
        raise ValueError(_no_graph(model))
    return model._functional if isinstance(model, keras.Sequential) else model


def has_graph(model: Operation) -> bool:
    """Whether an operation is a model whose call is a graph of layers, not code of its own."""
    return hasattr(model, "_nodes_by_depth") or isinstance(model, keras.Sequential) and model.built


def _no_graph(model) -> str:
    return (
        f"Model {model.name!r} ({type(model).__name__}) is subclassed, or a Sequential that was never built: "
        f"it has no graph to rebuild. "
        "Use the callback tfc.Compression, which works on it as it is, or write the model with the Functional API."
    )


def attach(model: keras.Model, name: str, saveable: keras.layers.Layer) -> None:
    """Hangs state on a model so that it is saved and loaded with it, but is none of its weights or layers."""
    model.__dict__[name] = saveable


def attached(model: keras.Model, name: str) -> keras.layers.Layer | None:
    """Returns what `attach` hung on the model, or None."""
    return model.__dict__.get(name)


def constants(layer: Operation) -> list[tuple[keras.Variable, np.ndarray]]:
    """Returns every variable of a layer with its value; floats of other sizes as float32."""
    return [(v, np.asarray(full_precision(v))) for v in getattr(layer, "variables", [])]


def recurrent(model: keras.Model) -> list[keras.layers.Layer]:
    """Returns the layers that loop over time, wherever they are nested."""
    return [layer for layer in model._flatten_layers(include_self=False) if isinstance(layer, keras.layers.RNN)]


def inference(model: keras.Model) -> list[tuple[object, str, object]]:
    """Returns overrides by which recurrent layers draw no dropout masks, which they do even where none is used."""
    cells = [layer for layer in model._flatten_layers(include_self=False) if hasattr(layer, "get_dropout_mask")]
    return [(cell, name, 0.0) for cell in cells for name in ("dropout", "recurrent_dropout")]


@dataclass(frozen=True)
class AttentionParts:
    """What a layer of attention heads is made of.

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
        layer._query_dense,
        layer._key_dense,
        layer._value_dense,
        layer._output_dense,
        getattr(layer, "_gate_dense", None),
        layer._dot_product_equation,
        not grouped,
        layer._combine_equation,
        layer._inverse_sqrt_head_dim if grouped else layer._inverse_sqrt_key_dim,
        1 if grouped else len(layer._attention_axes),
        layer._dropout_layer,
        layer.dropout > 0,
    )


def output_names(model: keras.Model) -> list[str]:
    """Returns the names of the outputs, `output_0`... where the model has none."""
    names = getattr(model, "output_names", None)
    return list(names) if names else []


def unconverted(model: keras.Model) -> list[tuple[object, str, object]]:
    """Returns overrides by which a model takes its inputs as they are, in whatever dtype."""
    graph = getattr(model, "_functional", model) if isinstance(model, keras.Sequential) else model
    name = "_convert_inputs_to_tensors"
    return [(graph, name, lambda flat: flat)] if hasattr(graph, name) else []


def is_training() -> bool:
    """Whether the call of a model or layer that is running now was asked for with `training=True`."""
    context = global_state.get_global_attribute("current_call_ctx")
    return bool(context is not None and context.get_value("training"))


def takes_training(layer: Operation) -> bool:
    """Whether the call of a layer has a `training` argument."""
    return bool(getattr(layer, "_call_has_training_arg", False))
