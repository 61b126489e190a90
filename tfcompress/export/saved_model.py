"""Prepares a SavedModel for the converter: its own signature at batch 1, in the order the exporter wrote it.

Wrapped into a Keras layer, a SavedModel is one operation whose inside is unknown: ranges around it would disagree with
those that TensorFlow's calibrator finds inside. So the signature itself is converted.
"""

import json
import os
import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfcompress.export.export import Export, run_converter, trace_for_converter
from tfcompress.export.loading import SavedModelSignature
from tfcompress.export.simulate import BATCH
from tfcompress.export.verify import FloatOp
from tfcompress.graph.keras_private import reloaded_object
from tfcompress.system.silence import quiet
from tfcompress.tflite.artifact import Artifact
from tfcompress.tflite.edits import find_ends

_VARIABLES = ("VariableV2", "Variable", "VarHandleOp")  # in the graph itself: written by TensorFlow 1
_CALLS = ("StatefulPartitionedCall", "PartitionedCall")
_NUMBERED = re.compile(r"output_(\d+)")
_KERAS_2 = "keras_metadata.pb"  # what tf_keras notes of the model beside its graph
# functions that the converter replaces as a whole: whatever says so, and of tf_keras' layers the LSTM
_FUSED = {"_implements": "", "api_implements": "lstm_"}


@dataclass(frozen=True)
class Signature:
    """One signature of a SavedModel.

    Args:
        function: The concrete function.
        inputs: Names of its inputs, in the exporter's order.
        outputs: Names of its outputs, in the exporter's order; sorted where the file does not tell.
        specs: `TensorSpec` of each input.
        owner: The loaded SavedModel, which keeps the variables.
        folder: Where it lies.
        name: Name of the signature.
    """

    function: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    specs: tuple[tf.TensorSpec, ...]
    owner: Any
    folder: str
    name: str

    @property
    def batch(self) -> int:
        """Samples that one call takes: 1, unless the signature is fixed to more."""
        return self.specs[0].shape[0] or 1

    @property
    def triples(self) -> list[tuple[str, tuple[int, ...], str]]:
        """Returns `(name, shape without batch, dtype)` of every input."""
        pairs = zip(self.inputs, self.specs, strict=True)
        return [(name, tuple(spec.shape[1:]), spec.dtype.name) for name, spec in pairs]

    @property
    def has_ranges(self) -> bool:
        """Whether ranges were trained into the graph (FakeQuant operations)."""
        library = self.function.graph.as_graph_def().library.function
        return any(node.op.startswith("FakeQuant") for f in library for node in f.node_def)

    def export(self) -> Export:
        """Traces the signature for the converter, at its fixed batch."""
        specs = [tf.TensorSpec((self.batch, *spec.shape[1:]), spec.dtype) for spec in self.specs]
        if self._is_old():
            return Export(_frozen(self, specs), self.inputs, self.outputs)
        module = None
        if self._is_fused():
            module = tf.Module()
            module.owner = self.owner

        def serve(*tensors):
            made = self.function(**dict(zip(self.inputs, tensors, strict=True)))
            return [made[n] for n in self.outputs]

        with quiet():
            function, module = trace_for_converter(serve, specs, self.function.graph.variables, module)
        return Export(function, self.inputs, self.outputs, self.owner, module)

    @property
    def parameters(self) -> int:
        """Numbers in its variables; 0 in a SavedModel of TensorFlow 1, which keeps them elsewhere."""
        return sum(int(np.prod(v.shape)) for v in self.function.graph.variables)

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs the signature itself.

        Args:
            inputs: Arrays `(samples, ...)` by input name.

        Returns:
            Outputs by name, `(samples, ...)`.
        """
        count = len(next(iter(inputs.values())))
        step = self.batch if self.specs[0].shape[0] else min(count, BATCH)
        dtypes = dict(zip(self.inputs, (spec.dtype for spec in self.specs), strict=True))
        parts = []
        for start in range(0, count, step):
            rows = np.minimum(
                np.arange(start, start + step), count - 1
            )  # a last, shorter batch repeats its last sample
            made = self.function(**{n: tf.constant(x[rows], dtypes[n]) for n, x in inputs.items()})
            parts.append({n: made[n].numpy()[: min(step, count - start)] for n in self.outputs})
        return {n: np.concatenate([p[n] for p in parts]) for n in self.outputs}

    def converted(self, setup, samples, mode: str) -> tuple[Export, Artifact]:
        """Converts the signature; TensorFlow's calibrator finds the ranges.

        Args:
            setup: As for `export.run_converter`.
            samples: Representative samples by input name; None for none.
            mode: The mode, for errors.

        Returns:
            The export, and the file as TensorFlow makes it, with the name scope of each operation as its layer.

        Raises:
            RuntimeError: If the converter fails.
            ValueError: If it fails over a recurrent loop.
        """

        def prepared(converter):
            setup(converter)
            # lists of a loop have batch 1; calibrating such a loop ends TensorFlow with a segmentation fault
            converter._experimental_default_to_single_batch_in_tensor_list_ops = samples is None

        export = self.export()
        try:
            found = Artifact(run_converter(export, prepared, samples and self._groups(samples)), {})
        except RuntimeError as error:
            _check_loop(error, mode)
            raise
        made = [at for _, at in find_ends(found.model, "", export.inputs, export.outputs).outputs]
        found.metadata["layers"] = scope_names(found, dict(zip(made, _scopes_of_outputs(export.function), strict=True)))
        return export, found

    def _is_old(self) -> bool:
        return any(op.type in _VARIABLES for op in self.function.graph.get_operations())

    def _is_fused(self) -> bool:
        library = self.function.graph.as_graph_def().library.function
        return any(
            name in f.attr and f.attr[name].s.decode().startswith(start)
            for f in library
            for name, start in _FUSED.items()
        )

    def _groups(self, samples: list[dict[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
        """Joins samples to groups of the size of one call; the last sample is repeated to fill the last group."""
        if self.batch == 1:
            return samples
        padded = [*samples, *[samples[-1]] * (-len(samples) % self.batch)]
        return [
            {n: np.concatenate([s[n] for s in padded[k : k + self.batch]]) for n in self.inputs}
            for k in range(0, len(padded), self.batch)
        ]


def signature_of(model: keras.Model) -> Signature | None:
    """Returns the signature of a SavedModel that `load_model` made a Keras model of.

    Args:
        model: A Keras model.

    Returns:
        The signature; None for any other model.

    Raises:
        ValueError: If an input has an open dimension besides the batch, no dimension, or holds strings.
    """
    made = [op for op in getattr(model, "operations", ()) if not isinstance(op, keras.layers.InputLayer)]
    if len(made) != 1 or not isinstance(made[0], SavedModelSignature):
        return None
    layer, function = made[0], made[0].signature
    if len(model.outputs) != len(function.structured_outputs):
        return None  # a model of some of the outputs only
    known = function.structured_input_signature[1]
    inputs = _input_order(function, sorted(known))
    specs = tuple(known[name] for name in inputs)
    for name, spec in zip(inputs, specs, strict=True):
        _check_spec(layer.filepath, name, spec)
    outputs = _output_order(function, layer.filepath)
    return Signature(
        function, tuple(inputs), tuple(outputs), specs, reloaded_object(layer), layer.filepath, layer.call_endpoint
    )


def _frozen(signature: Signature, specs: list[tf.TensorSpec]):
    """Returns the function of a signature of TensorFlow 1, whose variables only a session can read."""
    old, outputs = tf.compat.v1, signature.outputs
    with quiet(), tf.Graph().as_default() as graph, old.Session(graph=graph) as session:
        found = old.saved_model.load(session, ["serve"], signature.folder).signature_def[signature.name]
        fetched = [found.outputs[n].name for n in outputs]
        made = old.graph_util.convert_variables_to_constants(
            session, graph.as_graph_def(), [name.partition(":")[0] for name in fetched]
        )

    def serve(*tensors):
        fed = {found.inputs[n].name: x for n, x in zip(signature.inputs, tensors, strict=True)}
        return tf.graph_util.import_graph_def(made, input_map=fed, return_elements=fetched, name="")

    with quiet():
        return tf.function(serve, autograph=False).get_concrete_function(*specs)


def _check_spec(folder, name: str, spec: tf.TensorSpec) -> None:
    if spec.dtype == tf.string:
        raise ValueError(
            f"convert: input {name!r} of the SavedModel {folder!r} takes strings, which LiteRT has no tensors for on a "
            "phone. Export a signature that takes what the strings are turned into (numbers, decoded pictures)."
        )
    if not spec.shape.rank or None in spec.shape[1:]:
        shown = tuple(spec.shape) if spec.shape.rank is not None else "unknown"
        raise ValueError(
            f"convert: input {name!r} of the SavedModel {folder!r} has an open dimension: its shape is {shown}. A file "
            "for a phone has fixed shapes (and batch 1). Export it again with the size it will run at: "
            "loaded = tf.saved_model.load(folder); fixed = tf.function(loaded.signatures['serving_default'])"
            f".get_concrete_function({name}=tf.TensorSpec((1, 224, 224, 3), tf.{spec.dtype.name})); "
            "tf.saved_model.save(loaded, new_folder, signatures=fixed)."
        )


def _call(function):
    """Returns the operation that calls the exported function; None in a SavedModel of TensorFlow 1."""
    calls = [op for op in function.graph.get_operations() if op.type in _CALLS]
    return calls[0] if len(calls) == 1 else None


def _input_order(function, names: list[str]) -> list[str]:
    """Returns the inputs in the exported function's order: a signature sorts its arguments, its call does not."""
    call = _call(function)
    given = [x.op.name for x in call.inputs] if call is not None else []
    order = [name for name in given if name in names]
    return order if sorted(order) == names else names


def _output_order(function, folder) -> list[str]:
    """Returns the outputs in the model's order if tf_keras noted it, else in that of the call, which sorts dicts."""
    names = sorted(function.structured_outputs)
    noted = _noted_outputs(folder)
    if sorted(noted) == names:
        return noted
    call, at = _call(function), {}
    for name, tensor in zip(names, function.outputs, strict=True):
        source = tensor.op.inputs[0] if tensor.op.type == "Identity" else tensor
        if call is not None and source.op is call:
            at[name] = int(source.name.rpartition(":")[2])
    if len(set(at.values())) == len(names):
        return sorted(names, key=at.get)
    numbered = [_NUMBERED.fullmatch(name) for name in names]
    return sorted(names, key=lambda n: int(_NUMBERED.fullmatch(n)[1])) if all(numbered) else names


def _noted_outputs(folder) -> list[str]:
    """Names of the outputs of a model that tf_keras saved, as it makes them of the layers' names."""
    try:
        with open(os.path.join(folder, _KERAS_2), "rb") as file:
            text = file.read().decode("utf-8", "replace")
        # the first object is the model itself
        config = json.JSONDecoder().raw_decode(text, text.index("{"))[0]["config"]
        layers = [entry[0] for entry in config["output_layers"]]
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return []
    seen, names = Counter(), []
    for layer in layers:
        names.append(f"{layer}_{seen[layer]}" if seen[layer] else layer)
        seen[layer] += 1
    return names


def check_no_layers(leave_float: tuple) -> None:
    """Raises if `leave_float` names layers: a SavedModel has none.

    Raises:
        ValueError: In that case.
    """
    if leave_float:
        raise ValueError(
            "convert: leave_float names layers, and a SavedModel has none that could be left out. Received: "
            f"leave_float={leave_float}. Convert the Keras model it was exported from, or accept operations by name "
            "with allow_float."
        )


def _check_loop(error: RuntimeError, mode: str) -> None:
    if "TensorList" in f"{error} {error.__cause__}":
        raise ValueError(
            f"convert: the SavedModel holds a recurrent layer as a loop, which LiteRT can't hold in mode {mode!r}. "
            "Convert the Keras model it was exported from (its recurrent layers are unrolled then), export it with "
            "unroll=True on them, or use mode='dynamic'."
        ) from error


def add_keras_model_remedy(lost: list[FloatOp]) -> list[FloatOp]:
    """Adds to operations that stay float in a SavedModel what converting the Keras model would change."""
    way = "or convert the Keras model it was exported from, whose layers tfcompress writes with integers where it can"
    return [replace(f, remedy=f"{f.remedy}; {way}") for f in lost]


def scope_names(artifact: Artifact, ends: dict[int, str] | None = None) -> dict[str, str]:
    """Maps every operation of a file to the name scope it came from: its layer's name where there is one.

    Args:
        artifact: A file made from a SavedModel.
        ends: Index of the tensor of an output to the scope of what computes it, which its own name does not say.

    Returns:
        Index of the operation (as text) to the scope.
    """
    graph = artifact.model.graphs[0]
    found, known, ends = {}, {}, ends or {}
    for op in graph.ops:
        constants = [t for t in op.inputs if t >= 0 and graph.tensors[t].is_constant]
        scopes = [s for t in (*op.outputs, *constants) if (s := _scope(graph.tensors[t].name))]
        scopes += [ends[t] for t in op.outputs if ends.get(t)]
        scopes += [known[t] for t in op.inputs if t in known]
        if scopes:
            found[str(op.index)] = scopes[0]
            known |= dict.fromkeys(op.outputs, scopes[0])
    return _without_common(found)


def _scopes_of_outputs(function) -> list[str]:
    """Returns for each output the name scope of the operation that computes it, however deep in called functions."""
    library = {f.signature.name: f for f in function.graph.as_graph_def().library.function}
    return [_scope_behind(tensor.op, tensor.value_index, library) for tensor in function.outputs]


def _scope_behind(op, index: int, library: dict) -> str:
    while not (scope := "" if op.type in _CALLS else _scope(op.name)):
        if op.type in _CALLS:
            return _scope_inside(library[op.get_attr("f").name], index, library)
        if not op.inputs:
            return ""
        op, index = op.inputs[0].op, op.inputs[0].value_index
    return scope


def _scope_inside(function, index: int, library: dict) -> str:
    """Returns the scope of an output of a function in the form of a protocol buffer."""
    nodes = {node.name: node for node in function.node_def}
    place = function.ret[function.signature.output_arg[index].name]
    while (node := nodes.get(place.split(":")[0])) is not None:
        if node.op in _CALLS:
            return _scope_inside(library[node.attr["f"].func.name], int(place.rpartition(":")[2]), library)
        if (scope := _scope(node.name)) or not node.input:
            return scope
        place = node.input[0]
    return ""


def _scope(name: str) -> str:
    # a fused operation carries the names of all its parts, the one that gives the kernel last
    parts = [p for p in name.rpartition(";")[2].split("/") if p and not p.startswith(_CALLS)]
    return "/".join(parts[:-1])


def _without_common(found: dict[str, str]) -> dict[str, str]:
    """Drops the model's own name in front, if every scope starts with it."""
    heads = {scope.partition("/")[0] for scope in found.values()}
    if len(heads) != 1 or any("/" not in scope for scope in found.values()):
        return found
    return {index: scope.partition("/")[2] for index, scope in found.items()}
