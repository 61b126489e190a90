"""Makes a flat model: the layers of one's own replaced by the layers and operations that they call.

The flat model computes what the model computes, at inference and in training, and has the same weights. What happens
inside of a layer is recorded on made-up samples, in batches of two sizes and in training; a layer that does not always
do the same, or does what no stock layer or operation does, stays whole and is named with the reason.
"""

from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from tfcompress.graph.clone import copied
from tfcompress.graph.flat.activations import declare_elementwise
from tfcompress.graph.flat.emission import Emitter
from tfcompress.graph.flat.matching import Matching
from tfcompress.graph.flat.parts import Part, parts
from tfcompress.graph.flat.recording import Run
from tfcompress.graph.flat.steps import BATCHES, Step, Value
from tfcompress.graph.inside.opened import can_open, open_layers
from tfcompress.graph.keras_private import children, float32, full_precision, has_graph, input_specs, takes_training
from tfcompress.graph.rebuild import rebuild
from tfcompress.graph.variable_reads import ReplacedReads
from tfcompress.layer_table.lookup import SAME, LayerSpec, describe_object

IDENTITY = LayerSpec(flow="pass", is_identity=True, grid=SAME)
OTHER = "computes something else than the operations inside of it, one after the other"
UNTRAINED = "does not train layers inside of it that a Functional model would train (its call has no `training`)"
TOLERANCE = 1e-5  # of the largest output


@dataclass(frozen=True)
class Flat:
    """A flat model.

    Args:
        model: A Functional model; a new one, but for layers whose configuration does not rebuild them.
        whole: Why a layer of one's own stayed whole, by its path.
        passing: Paths of those that return their input at inference, which nothing needs to know more of.
    """

    model: keras.Model
    whole: dict[str, str] = field(default_factory=dict)
    passing: frozenset[str] = frozenset()


def flat(model: keras.Model) -> Flat:
    """Returns a flat Functional model that computes the same with the same weights.

    Args:
        model: A built model; it is not changed. A subclassed model's call is replaced too.

    Returns:
        The flat model, and the layers of one's own that stayed whole.

    Raises:
        ValueError: If the model is subclassed and its own call can't be replaced.

    Example:
        >>> import keras
        >>> from tfcompress.graph.flat.flatten import flat
        >>> inputs = keras.Input((4,))
        >>> own = keras.layers.Lambda(lambda x: x + keras.ops.relu(x), name="own")
        >>> [op.name for op in flat(keras.Model(inputs, own(inputs))).model.operations[1:]]
        ['own_relu', 'own_add']
    """
    if not open_layers(model):
        return Flat(copied(model)[0])
    try:
        return _result(model)
    except _Unrecorded as why:
        if not has_graph(model):
            raise ValueError(
                f"Model {model.name!r} ({type(model).__name__}) is subclassed, and its own call can't be followed: it "
                f"{why}. Use the callback tfc.Compression, which works on it as it is, or write the model with the "
                "Functional API."
            ) from why
        return Flat(copied(model)[0], {path: str(why) for path, _ in open_layers(model)})


class _Unrecorded(Exception):
    """A model can't be replaced by what is inside of it."""


def _result(model: keras.Model) -> Flat:
    try:
        return _Flattening(model).result()
    except _Unrecorded:
        raise
    except Exception as error:  # Keras, or code of the model's own, refuses a step
        raise _Unrecorded(f"can't be replaced by what is inside of it ({error})") from error


class _Flattening:
    """Makes one flat model."""

    def __init__(self, model: keras.Model):
        self.model = model
        self.parts = parts(model)
        self.paths = {id(part.op): part.path for part in self.parts} | {id(model): ""}
        self.owners = _owners([*self.parts, Part("", model, can_open(model))])
        try:
            self.runs = [Run(model, BATCHES[0]), Run(model, BATCHES[1]), Run(model, BATCHES[0], training=True)]
        except Exception as error:  # whatever the layers' own code raises
            raise _Unrecorded(f"does not run on made-up samples ({error})") from error
        self.calls = self.runs[0].calls
        self._compare()
        self.closed = {
            id(step.op): step.problem
            for calls in self.calls.values()
            for call in calls
            for step in call.all_steps()
            if step.problem is not None
        }
        self.exact: set[int] = set()
        self.kept: set[int] = set()

    def _compare(self) -> None:
        for other, is_training in ((self.runs[1], False), (self.runs[2], True)):
            matching = Matching(is_training)
            for key, calls in self.calls.items():
                theirs = other.calls.get(key, [])
                for k, call in enumerate(calls):
                    if k < len(theirs):
                        matching.outermost(call, theirs[k])

    def result(self) -> Flat:
        """Builds the flat model until every layer that is replaced computes the same as before."""
        while True:
            emitter, made, results = self._build()
            if not emitter.is_done:
                continue
            if strange := emitter.copies.set_weights():
                self.kept |= strange
                continue
            self._set_weights(emitter)
            wrong = self._wrong(made, results)
            if not wrong:
                break
            self.closed |= wrong
        declare_elementwise(made.layers)
        whole = {self.paths.get(key, ""): why for key, why in self.closed.items()}
        return Flat(made, whole, self._describe_identities(emitter))

    def _describe_identities(self, emitter: Emitter) -> frozenset[str]:
        """Describes whole layers that return their input at inference, which pass every channel on; returns them."""
        found = set()
        every = [s for calls in self.calls.values() for call in calls for s in call.all_steps() if s.is_open]
        for key in self.closed:
            steps = [step for step in every if id(step.op) == key]
            if steps and all(map(_returns_its_input, steps)):
                copy = emitter.copy(steps[0].op)
                describe_object(copy, IDENTITY)
                found.add(self.paths[key])
        return frozenset(found)

    def _build(self) -> tuple[Emitter, keras.Model, list]:
        """Builds the flat model once; returns the symbolic results of each outermost call, too."""
        all_calls = [call for calls in self.calls.values() for call in calls]
        emitter = Emitter(self.paths, self.owners, all_calls, self.kept, self.closed, self.exact)
        results: list[tuple[Step, list]] = []

        def replay(op):
            waiting = iter(self.calls[id(op)])

            def called(*args, **kwargs):
                step = next(waiting)
                made = emitter.outermost(step, args, kwargs)
                results.append((step, keras.tree.flatten(made)))
                return made

            return called

        def replace(path, op):
            return replay(op) if id(op) in self.calls else emitter.copy(op)

        if can_open(self.model):
            if id(self.model) in self.closed:
                raise _Unrecorded(self.closed[id(self.model)])
            inputs = keras.tree.map_structure(
                lambda x: keras.Input(batch_shape=x.shape, dtype=x.dtype, name=x.name), input_specs(self.model)
            )
            return emitter, keras.Model(inputs, replay(self.model)(inputs), name=self.model.name), results
        return emitter, rebuild(self.model, replace), results

    def _set_weights(self, emitter: Emitter) -> None:
        for layer, variable in emitter.weights.values():
            layer.weight.assign(full_precision(variable))
            layer.trainable = variable.trainable and self.owners[id(variable)].trainable
        for layer, variables in emitter.kernels.layers.values():
            for mine, theirs in zip(layer.variables, variables, strict=True):
                mine.assign(full_precision(theirs))
            layer.trainable = all(v.trainable and self.owners[id(v)].trainable for v in variables)

    def _wrong(self, made: keras.Model, results: list) -> dict[int, str]:
        """Returns the replaced layers that do not compute what they did, with the reason."""
        for run in self.runs:
            if _agree(run.outputs, _computed(made, run)):
                continue
            for step, tensors in results:
                given = [x for x in tensors if isinstance(x, keras.KerasTensor)]
                model = keras.Model(made.input, given)
                theirs = self._arrays(run, step)
                if id(step.op) not in self.closed and not _agree(theirs, _computed(model, run)):
                    return {id(step.op): UNTRAINED if run.training else OTHER}
            still_open = [op for op in self.calls if op not in self.closed]
            if not still_open:
                raise _Unrecorded("computes something else when it is copied")
            return dict.fromkeys(still_open, "computes something else in the model's graph")
        return {}

    def _arrays(self, run: Run, step: Step) -> list:
        place = self.calls[id(step.op)].index(step)
        return run.calls[id(step.op)][place].arrays


def _returns_its_input(step: Step) -> bool:
    """Whether a call returned the tensor it was given; a seed is no weight that matters."""
    is_same = isinstance(step.results, Value) and len(step.args) == 1 and step.results == step.args[0]
    return is_same and not any("float" in v.dtype for v in step.op.variables)


def _owners(found: list[Part]) -> dict[int, Any]:
    """Returns the open layer that has a variable itself, by `id(variable)`."""
    owners = {}
    for part in found:
        if part.is_open:
            inside = {id(v) for child in children(part.op) for v in getattr(child, "variables", ())}
            owners |= {id(v): part.op for v in part.op.variables if id(v) not in inside}
    return owners


def _computed(model: keras.Model, run: Run) -> list[np.ndarray]:
    """Returns the outputs of a model for the inputs of a run; nothing is updated."""
    given = keras.tree.pack_sequence_as(input_specs(model), run.inputs)
    keywords = {"training": run.training} if takes_training(model) else {}
    with float32(model), ReplacedReads(collect_losses=True):
        try:
            return [np.asarray(x) for x in keras.tree.flatten(model(given, **keywords))]
        except Exception:  # an operation that does not run
            return []


def _agree(ours: list, theirs: list) -> bool:
    if len(ours) != len(theirs):
        return False
    for a, b in zip(ours, theirs, strict=True):
        a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
        if a.shape != b.shape:
            return False
        scale = np.abs(a[np.isfinite(a)]).max(initial=1e-3)
        if not np.allclose(a, b, rtol=0, atol=TOLERANCE * scale, equal_nan=True):
            return False
    return True
