"""Calls the layers and operations inside of open layers on symbolic tensors, which makes the nodes of a flat model."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from tfcompress.graph.clone import Copies, flat_name
from tfcompress.graph.flat.kernels import Kernels
from tfcompress.graph.flat.layers import AlongBatch, ConstantTensor, Weight
from tfcompress.graph.flat.steps import Fixed, Own, Step, Value, Varying, leaves_of, map_leaves, needed_steps
from tfcompress.graph.flat.stock_operations import CantFollow, call_stock, shown
from tfcompress.graph.inside.functions import OperationFunction, named_arguments_of
from tfcompress.graph.keras_private import maker_of
from tfcompress.layer_table.inner_operation import InnerOperation
from tfcompress.layer_table.lookup import spec_of


class Emitter:
    """Makes the nodes of a flat model.

    Args:
        paths: Path by `id(layer)`.
        owners: The open layer that has a variable, by `id(variable)`.
        calls: All outermost calls of open layers.
        kept: Ids of layers whose copies share their weights.
        closed: Why a layer stays whole, by `id(layer)`; layers that turn out not to be followed are added.
        exact: Ids of variables that are yielded in their own shape; some may be added.

    Attributes:
        copies: The copies of layers.
        weights: The layers that hold weights of open layers, with the variables, by `id(variable)`.
        is_done: Whether `closed` and `exact` stayed as they were.
    """

    def __init__(
        self, paths: dict, owners: dict, calls: Iterable[Step], kept: set[int], closed: dict[int, str], exact: set[int]
    ):
        self.paths, self.owners, self.closed, self.exact = paths, owners, closed, exact
        self.copies = Copies(kept)
        self.weights: dict[int, tuple[Weight, keras.Variable]] = {}
        self.kernels = Kernels(calls, owners, paths)
        self.is_done = True
        self._env: dict[int, Any] = {}
        self._anchor: Any = None
        self._yielded: dict[int, Any] = {}
        self._names: Counter = Counter()
        self._path_of: dict[int, str] = {}

    def outermost(self, step: Step, args: tuple, kwargs: dict) -> Any:
        """Returns the symbolic results of an outermost call of an open layer.

        Args:
            step: What the call did.
            args: Its positional arguments, symbolic.
            kwargs: Its keyword arguments.
        """
        if id(step.op) in self.closed:
            return self.copy(step.op)(*args, **kwargs)
        self._env, self._yielded = {}, {}
        given = (args, {name: kwargs.get(name) for name in step.kwargs})
        for known, x in zip(step.given, leaves_of(given), strict=True):
            if isinstance(known, Value):
                self._env[known.number] = x
        self._anchor = next(x for x in self._env.values() if isinstance(x, keras.KerasTensor))
        try:
            return map_leaves(self._constant, self._inside(step))
        except CantFollow as why:
            self._close(step.op, str(why))
            return self.copy(step.op)(*args, **kwargs)

    def _close(self, op: Any, why: str) -> None:
        self.closed[id(op)], self.is_done = why, False

    def copy(self, op: Any) -> Any:
        """Returns the copy of a layer or operation that stays whole."""
        if id(op) not in self._path_of:
            self._path_of[id(op)] = self._name(flat_name(self.paths.get(id(op), op.name)))
        return self.copies.of(self._path_of[id(op)], op)

    def _inside(self, step: Step) -> Any:
        """Returns the results of an open layer by its steps."""
        needed = needed_steps(step)
        skip: set[int] = set()
        for inner in step.steps:
            if id(inner) in needed and id(inner) not in skip:
                skip |= self._emit(inner, step)
        return self._filled(step.results)

    def _emit(self, step: Step, around: Step) -> set[int]:
        """Makes the nodes of one step; returns the ids of later steps that are done with it."""
        if isinstance(step.op, OperationFunction):
            fused = self.kernels.fused(step, self._env, self._name)
            if fused is not None:
                last, made = fused
                self._keep(last, made)
                return {id(step), id(last)}
            made = self._function(step, around)
        elif step.is_open and id(step.op) not in self.closed:
            try:
                made = self._inside(step)
            except CantFollow as why:
                self._close(step.op, str(why))
                made = self._layer(step)
        else:
            made = self._layer(step)
        self._keep(step, made)
        return set()

    def _keep(self, step: Step, made: Any) -> None:
        known = [k.number if isinstance(k, Value) else None for k in leaves_of(step.outputs)]
        for number, x in zip(known, keras.tree.flatten(made), strict=True):
            if number is None:
                continue
            if isinstance(x, keras.KerasTensor) and not isinstance(step.op, OperationFunction):
                self._check(step, number, x)
            self._env[number] = x

    def _check(self, step: Step, number: int, x: Any) -> None:
        if x.shape[1:] != step.shapes[number][1:] and None not in x.shape[1:]:
            raise CantFollow(f"makes another shape of {step.op.name!r} than {step.shapes[number]}")

    def _layer(self, step: Step) -> Any:
        """Calls the copy of a layer that stays whole."""
        layer = self.copy(step.op)
        args, kwargs = self._filled((step.args, step.kwargs))
        if kwargs.get("training") is False and spec_of(step.op).is_identity:
            return args[0]  # a Functional model would train it
        if not any(isinstance(x, keras.KerasTensor) for x in leaves_of((args, kwargs))):
            args, kwargs = map_leaves(self._constant, (args, kwargs))
        return layer(*args, **kwargs)

    def _constant(self, x: Any) -> Any:
        """Returns a symbolic tensor that holds a constant; other values as they are."""
        if not hasattr(x, "shape") or isinstance(x, keras.KerasTensor):
            return x
        x = np.asarray(x)
        return ConstantTensor(x.tolist(), x.dtype.name, name=self._name("constant"))(self._anchor)

    def _function(self, step: Step, around: Step) -> Any:
        known = named_arguments_of(step.op, step.args, step.kwargs)
        row = spec_of(InnerOperation(step.op.attribute, step.op.kind, known))
        # value by value with broadcasting: one more axis of size 1 in front of an operand makes no difference
        lead = step if row.flow in ("merge", "choose") else None
        args, kwargs = self._filled((step.args, step.kwargs), keeps=True, lead=lead)
        try:
            made = call_stock(step, args, kwargs, self._repeat)
        except CantFollow:
            raise
        except Exception as error:  # what Keras' own operation refuses
            raise CantFollow(f"calls {shown(step.op)} as no operation of Keras takes it ({error})") from error
        self._rename(step, around, made)
        return made

    def _rename(self, step: Step, around: Step, made: Any) -> None:
        """Names an operation by the layer it was inside of."""
        for x in keras.tree.flatten(made)[:1]:
            if isinstance(x, keras.KerasTensor) and not isinstance(maker_of(x), keras.layers.Layer):
                path = self.paths.get(id(around.op), around.op.name)
                maker_of(x).name = self._name(f"{flat_name(path)}_{step.op.kind.lower()}")

    def _name(self, name: str) -> str:
        """Returns a name that no other node has."""
        self._names[name] += 1
        return f"{name}_{self._names[name] - 1}" if self._names[name] > 1 else name

    def _filled(self, structure: Any, keeps: bool = False, lead: Any = None) -> Any:
        """Replaces values by symbolic tensors, weights by the outputs of layers and constants by arrays."""

        def filled(x):
            if isinstance(x, Value):
                return self._env[x.number]
            if isinstance(x, Own):
                return self._weight(x.variable, lead)
            if isinstance(x, Varying) and isinstance(x.first, Fixed):
                x = self._along_batch(x)
            if isinstance(x, Varying) and not keeps:
                what = "a value that no known operation made" if isinstance(x.first, Fixed) else "the size of the batch"
                raise CantFollow(f"passes {what} to a layer")
            return x.array if isinstance(x, Fixed) and not keeps else x

        return map_leaves(filled, structure)

    def _along_batch(self, x: Varying) -> Any:
        """Returns a constant that is repeated for every sample."""
        a, b = x.first.array, x.second.array
        if a.ndim == 0 or a.shape[1:] != b.shape[1:] or not (a == b[:1]).all() or not (b == b[:1]).all():
            return x
        one = ConstantTensor(a[:1].tolist(), a.dtype.name, name=self._name("constant"))(self._anchor)
        return self._repeat(one)

    def _repeat(self, x: Any) -> Any:
        """Returns a tensor whose first axis has size 1 repeated for every sample."""
        return AlongBatch(name=self._name("along_batch"))(x, self._anchor)

    def _weight(self, variable: keras.Variable, lead: Any) -> Any:
        """Returns the output of the layer that holds a weight of an open layer."""
        if id(variable) not in self.owners:
            raise CantFollow(f"reads the weight {variable.path!r} of a layer inside of it")
        is_led = bool(lead) and all(len(s) > len(variable.shape) for s in lead.shapes.values())
        if not is_led and id(variable) not in self.exact:
            self.exact.add(id(variable))
            if id(variable) in self.weights and self.weights[id(variable)][0].leading:
                self.is_done = False
        if id(variable) not in self._yielded:
            if id(variable) not in self.weights:
                self.weights[id(variable)] = (self._holder(variable), variable)
            self._yielded[id(variable)] = self.weights[id(variable)][0](self._anchor)
        return self._yielded[id(variable)]

    def _holder(self, variable: keras.Variable) -> Weight:
        owner = self.owners[id(variable)]
        name = flat_name(f"{self.paths.get(id(owner), owner.name)}/{variable.name}")
        options = {"regularizer": variable.regularizer, "constraint": variable.constraint, "dtype": owner.dtype_policy}
        if not keras.backend.is_float_dtype(variable.dtype):
            options["weight_dtype"] = variable.dtype
        return Weight(variable.shape, id(variable) not in self.exact, name=self._name(name), **options)
