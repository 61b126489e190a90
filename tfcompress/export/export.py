"""Exports a model under its operation plans to the bytes of a `.tflite` file.

The model's own call is traced with every weight a constant, batch 1 and FakeQuant nodes at the ranges; every operation
runs in a name scope `tfc<number>_`, which tells the layer of each tensor in the file, whatever TensorFlow made of the
layer's own name. The converter takes the traced function as it is, so inputs and outputs keep the model's order (a
SavedModel in between would sort them by name, and cost most of the time).
"""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import keras
import tensorflow as tf

from tfcompress.export.unconvertible import NotConvertible, converter_failure, lacking_operations
from tfcompress.fake_quant.forward_pass import Mode
from tfcompress.fake_quant.op_plan import OpPlan
from tfcompress.fake_quant.patching import patched_calls
from tfcompress.fake_quant.transforms.file_rounding import kept_apart
from tfcompress.fake_quant.weight_reads import prepare_export
from tfcompress.graph.export_substitutes import substitute_operations
from tfcompress.graph.inside.opened import holder_path, holders, inside, open_layers, operations
from tfcompress.graph.keras_private import (
    float32,
    has_graph,
    input_specs,
    keep_input_dtypes,
    no_dropout_masks,
    output_names,
    override_attributes,
    recurrent,
)
from tfcompress.graph.random_ops import Draws, replace_draws
from tfcompress.graph.trace import trace
from tfcompress.graph.variable_reads import Constants
from tfcompress.layer_table.lookup import spec_of
from tfcompress.system.silence import quiet
from tfcompress.text.progress import followed
from tfcompress.tflite.edits import argument
from tfcompress.tflite.loops.integer_loops import with_integer_loops
from tfcompress.tflite.unread_splits import with_integer_splits

DEFAULT_SIGNATURE = "serving_default"
# Bytes of weights from which on the converter gets a SavedModel: it copies what is frozen a dozen times.
LARGE_MODEL = 2**25


@dataclass(frozen=True)
class Export:
    """A traced function of tensors with batch 1, as the converter takes it.

    Args:
        function: The concrete function; its arguments, named by `argument`, and results lie in the model's order.
        inputs: Names of the inputs, in that order.
        outputs: Names of the outputs, in that order.
        held: The variables that the function refers to, which it does not keep alive.
        module: Module that the converter stores as a SavedModel and reads; None where it takes the function frozen.
        paths: What `paths_by_number` returned.
        layers: The same with the path of the layer for what is computed inside of its call.
        floats: Names of the inputs of integers or float64 that are float32 in it.
    """

    function: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    held: Any = None
    module: tf.Module | None = None
    paths: dict[int, str] = field(default_factory=dict)
    layers: dict[int, str] = field(default_factory=dict)
    floats: frozenset[str] = frozenset()

    def samples(self, given):
        """Returns samples as the converter takes them: one dict by input name each, None for none."""
        if given is None or not self.floats:
            return given
        return [{n: a.astype("float32") if n in self.floats else a for n, a in s.items()} for s in given]


def float_inputs(model: keras.Model) -> set[str]:
    """Returns the names of inputs that are float32 in integer files: those of float64, and integers only cast."""
    if all(s.dtype.is_floating for s in keras.tree.flatten(input_specs(model))):
        return float64_inputs(model)
    return float64_inputs(model) | set(trace(model, opens=True).float_inputs.values())


def float64_inputs(model: keras.Model) -> set[str]:
    """Returns the names of the float64 inputs, which are float32 in every file."""
    return {s.name for s in keras.tree.flatten(input_specs(model)) if s.dtype == tf.float64}


def trace_for_converter(serve, specs, held, module: tf.Module | None = None) -> tuple:
    """Traces a function for an `Export`.

    Args:
        serve: Function of tensors, one after the other, that returns a list of tensors.
        specs: `TensorSpec` of each argument.
        held: The variables it refers to; those that come up while it is traced are added.
        module: What holds the variables, if there is something; large models get one.

    Returns:
        The concrete function, and the module if the converter shall store it as a SavedModel.
    """
    named = [tf.TensorSpec(s.shape, s.dtype, argument(k)) for k, s in enumerate(specs)]
    function = tf.function(serve, autograph=False).get_concrete_function(*named)
    if module is None and sum(v.dtype.size * v.shape.num_elements() for v in held) >= LARGE_MODEL:
        module = tf.Module()
        module.held = [*held, *function.graph.variables]
    return function, module


def export_model(model: keras.Model, state, draws: Draws, loops: frozenset[int] = frozenset()) -> Export:
    """Traces a model for the converter.

    Args:
        model: A built model.
        state: Its operation plans, or None to export it as it is.
        draws: What becomes of random numbers.
        loops: Ids of the recurrent layers that stay loops; the others are unrolled.

    Returns:
        The export.

    Raises:
        ValueError: If an input has a dimension besides the batch that is not fixed.
        NotConvertible: If LiteRT lacks an operation of the traced graph.
    """
    specs = input_specs(model, batch=1)
    flat = keras.tree.flatten(specs)
    check_static(model)
    if not all(inside(op) for _, op in open_layers(model)):
        trace(model, opens=True)
    floats = float_inputs(model) if draws.is_integer else float64_inputs(model)
    flat = [tf.TensorSpec(s.shape, tf.float32, name=s.name) if s.name in floats else s for s in flat]
    outputs, prepared = [], {}

    def serve(*tensors):
        with constants, tf.name_scope(_token(root)), override_attributes(keep_input_dtypes(model) if floats else []):
            made = model(keras.tree.pack_sequence_as(specs, list(tensors)), training=False)
        named = named_outputs(model, made)
        outputs[:] = named
        return list(named.values())

    with (
        float32(model),
        unroll_recurrent(model, loops),
        replace_draws(draws),
        substitute_operations(draws.is_integer),
        override_attributes(_scoped(model, every := complete_plans(model, state))),
        patched_calls(model, every, Mode.EXPORT, prepared=prepared),
        kept_apart(),
        quiet(),
    ):
        paths = paths_by_number(model, every)
        root = max(paths)
        prepared |= {id(t): prepare_export(t) for t in every.op_plans}
        held = [v for p in prepared.values() for _, _, v in p.values if isinstance(v, tf.Variable)]
        constants = Constants({id(c.variable): c.value for t in every.op_plans for c in t.chains.values()}, held)
        function, module = trace_for_converter(serve, flat, held)
        layers = paths | {t.index: holder_path(t.path, t.op) for t in every.op_plans}
        refuse_lacking(function.graph, layers)
        # TensorFlow's own variables, which layers may hold as well, are frozen by the converter
        held += function.graph.variables
    return Export(function, tuple(s.name for s in flat), tuple(outputs), held, module, paths, layers, frozenset(floats))


def _token(number: int) -> str:
    return f"tfc{number}_"


def _scoped(model: keras.Model, every) -> list[tuple]:
    """Returns overrides that run what a container computes by itself in a name scope with the container's number."""

    def call(plain, number):
        def scoped(*args, **kwargs):
            with tf.name_scope(_token(number)):
                return plain(*args, **kwargs)

        return scoped

    first = len(every.op_plans) + max((t.index for t in every.op_plans), default=0)
    return [(op, "call", call(op.call, first + k)) for k, (_, op) in enumerate(holders(model))]


def paths_by_number(model: keras.Model, every) -> dict[int, str]:
    """Maps each number in the exported names to the path of the operation, of the container or of the model.

    Args:
        model: The model.
        every: What `complete_plans` made of it.
    """
    first = len(every.op_plans) + max((t.index for t in every.op_plans), default=0)
    held = [*(path for path, _ in holders(model)), model.name]
    return {t.index: t.path for t in every.op_plans} | {first + k: path for k, path in enumerate(held)}


def makers_of_outputs(export: Export) -> list[int | None]:
    """Returns for each output of an export the number in the name of what computes it, None where there is none."""
    return [_maker(tensor.op) for tensor in export.function.outputs]


def _maker(op) -> int | None:
    while not (numbers := re.findall(r"tfc(\d+)_", op.name)):
        if not op.inputs:
            return None
        op = op.inputs[0].op
    return int(numbers[-1])


def refuse_lacking(graph, paths: dict[int, str]) -> None:
    """Raises if a traced graph holds operations that LiteRT lacks.

    Args:
        graph: The graph.
        paths: What `paths_by_number` returned.

    Raises:
        NotConvertible: In that case.
    """

    def layer(name):
        numbers = re.findall(r"tfc(\d+)_", name)
        return paths.get(int(numbers[-1]), "") if numbers else ""

    refused = lacking_operations(graph, layer)
    if refused:
        raise NotConvertible("LiteRT has no operation for a part of the model", refused)


def check_static(model: keras.Model) -> None:
    """Raises if an input has an open dimension besides the batch.

    Raises:
        ValueError: In that case.
    """
    for s in keras.tree.flatten(input_specs(model)):
        if None in s.shape[1:]:
            raise ValueError(
                f"Input {s.name!r} of model {model.name!r} has an open dimension: {tuple(s.shape)}. A file "
                f"for a phone has fixed "
                "shapes (and batch 1). Build the model with keras.Input of the size it will run at."
            )


def check_batched(model: keras.Model) -> None:
    """Raises if an output is known to have no axis of samples, so that it holds no answer for a single sample.

    Raises:
        ValueError: In that case.
    """
    made = keras.tree.flatten(model.outputs) if has_graph(model) else []
    for k, x in enumerate(made):
        if not x.shape or x.shape[0] is not None and model.inputs[0].shape[0] is None:
            raise ValueError(
                f"Output {k} of model {model.name!r} has the shape {tuple(x.shape)}, without an axis of samples in "
                "front: it mixes the samples of a batch, and a file gets one at a time. Keep axis 0, as in "
                "keras.ops.mean(x, axis=-1), or leave this output out of the model you convert."
            )


def named_outputs(model: keras.Model, outputs) -> dict:
    """Returns the outputs by name, in the model's order.

    The names are the model's own; the keys of a dict; in nested structures keys and numbers joined by `/`; or
    `output_0`... where these are missing or occur twice.
    """
    flat = keras.tree.flatten(outputs)
    if isinstance(outputs, dict):
        names = _paths(keras.tree.pack_sequence_as(outputs, list(range(len(flat)))), len(flat))
    else:
        names = output_names(model)
    if len(names) != len(flat) or len(set(names)) != len(names):
        names = [f"output_{k}" for k in range(len(flat))]
    return dict(zip(names, flat, strict=True))


def _paths(places, count: int) -> list[str]:
    """Returns the path to each number in a structure of dicts and lists."""
    found = {}

    def visit(place, path):
        if isinstance(place, int):
            found[place] = "/".join(path)
            return
        for key, inner in place.items() if isinstance(place, dict) else enumerate(place):
            visit(inner, [*path, str(key)])

    visit(places, [])
    return [found[k] for k in range(count)]


def complete_plans(model: keras.Model, state):
    """Returns a plan for every operation: those of the state, and empty plans for the others.

    An empty plan turns the weights into constants and names the tensors. Integer rewrites without values to round
    (3-D pooling by planes, `x * x`, `x * -1`) are exact: they are used in every mode, also where LiteRT, or its 16-bit
    activations, lack the operation itself.
    """
    known = {id(t.op): t for t in state.op_plans} if state is not None else {}
    number = max((t.index for t in known.values()), default=-1) + 1
    plans = []
    for path, op in operations(model):
        if id(op) not in known:
            spec = spec_of(op)
            is_exact = spec.written is not None and not spec.inside
            known[id(op)] = OpPlan(path, op, number, written=is_exact or spec.is_lacking)
            number += 1
        plans.append(known[id(op)])
    return SimpleNamespace(op_plans=plans, inputs=list(state.inputs) if state is not None else [])


@contextlib.contextmanager
def unroll_recurrent(model: keras.Model, kept: frozenset[int] = frozenset()) -> Iterator[None]:
    """Unrolls recurrent layers while the block runs: calibrating a loop crashes TensorFlow.

    Args:
        model: The model.
        kept: Ids of the layers that stay loops, because every value inside of them has a range.
    """
    each = [(layer, "unroll", id(layer) not in kept) for layer in recurrent(model)]
    with override_attributes([*no_dropout_masks(model), *each]):
        yield


def run_converter(export: Export, setup, samples=None) -> bytes:
    """Runs TensorFlow's converter on an exported function, quietly.

    Args:
        export: The function.
        setup: Function that sets options on the converter.
        samples: Representative samples by input name; None for none.

    Returns:
        The bytes of the `.tflite` file.

    Raises:
        NotConvertible: If the converter fails; it names operations and layers, and quotes the converter.
    """
    samples = export.samples(samples)
    with quiet() as said:
        converter = tf.lite.TFLiteConverter.from_concrete_functions([export.function], export.module)
        converter.exclude_conversion_metadata = True  # notes that would be dropped, at the cost of a pass over the file
        if samples is not None:
            converter.representative_dataset = lambda: _representative(export, samples)
        setup(converter)
        try:
            content = converter.convert()
        except Exception as error:
            text = str(error).strip() or said.getvalue().strip()
            found = converter_failure(text, export.layers or export.paths, export.function.graph)
            raise NotConvertible("TensorFlow's converter can't make a file of this model", found, text) from error
    return with_integer_loops(with_integer_splits(content))


def _representative(export: Export, samples) -> Iterator:
    """Yields samples as the calibrator takes them: by name with a signature, else in the order of the inputs."""
    for s in followed(samples, "calibrating, samples", len(samples)):
        arrays = [s[name] for name in export.inputs]
        named = {argument(k): x for k, x in enumerate(arrays)}
        yield (DEFAULT_SIGNATURE, named) if export.module is not None else arrays
