"""Compares runs of a model: what depends on the size of the batch, and what differs in training."""

from typing import Any

import keras
import numpy as np

from tfcompress.graph.flat.steps import Fixed, Own, Step, Value, Varying
from tfcompress.graph.keras_private import takes_training

IN_TRAINING = "computes something else in training than at inference, in its own call"
BY_BATCH = "does something else when a batch has another size, in its own call"


class Matching:
    """Compares the steps of one run with those of another, and notes in the first what differs.

    Args:
        is_training: Whether the other run was one in training; else it was one with another size of the batch.
    """

    def __init__(self, is_training: bool):
        self.is_training, self.why = is_training, IN_TRAINING if is_training else BY_BATCH
        self._numbers: dict[int, int] = {}

    def outermost(self, ours: Step, theirs: Step) -> None:
        """Compares two calls of an outermost open layer."""
        for a, b in zip(ours.given, theirs.given, strict=False):
            if isinstance(a, Value) and isinstance(b, Value):
                self._numbers[b.number] = a.number
        self._same(ours, theirs)

    def _same(self, ours: Step, theirs: Step) -> bool:
        """Whether a call did the same in both runs; an open layer's steps are compared too."""
        if ours.op is not theirs.op or ours.is_open != theirs.is_open:
            return False
        if self.is_training:
            _drop_training(ours, theirs)
        try:
            ours.args, ours.kwargs = self._merged((ours.args, ours.kwargs), (theirs.args, theirs.kwargs))
            if ours.is_open:
                self._compare_inside(ours, theirs)
            keras.tree.assert_same_structure(ours.outputs, theirs.outputs)
        except (_Differs, ValueError, TypeError):
            return False
        self._numbers.update(zip(theirs.made, ours.made, strict=False))
        if not self.is_training:
            ours.other_shapes = {a: theirs.shapes[b] for a, b in zip(ours.made, theirs.made, strict=False)}
        return True

    def _compare_inside(self, ours: Step, theirs: Step) -> None:
        same = len(ours.steps) == len(theirs.steps)
        same = same and all(self._same(a, b) for a, b in zip(ours.steps, theirs.steps, strict=True))
        try:
            ours.results = self._merged(ours.results, theirs.results)
        except (_Differs, ValueError, TypeError):
            same = False
        if not same or theirs.problem:
            ours.problem = ours.problem or theirs.problem or self.why

    def _merged(self, a: Any, b: Any) -> Any:
        return keras.tree.map_structure(self._leaf, a, b)

    def _leaf(self, a: Any, b: Any) -> Any:
        if isinstance(a, slice) and isinstance(b, slice):
            pairs = ((a.start, b.start), (a.stop, b.stop), (a.step, b.step))
            return slice(*(self._leaf(x, y) for x, y in pairs))
        if isinstance(a, Value) and isinstance(b, Value):
            is_same = self._numbers.get(b.number) == a.number
        elif isinstance(a, Own) and isinstance(b, Own):
            is_same = a.variable is b.variable
        elif isinstance(a, Fixed) and isinstance(b, Fixed):
            is_same = a.array.shape == b.array.shape and np.array_equal(a.array, b.array, equal_nan=_has_nan(a.array))
        else:
            is_same = type(a) is type(b) and bool(a is b or a == b)
        if not is_same and not self.is_training and type(a) is type(b) and isinstance(a, (int, Fixed)):
            return Varying(a, b)
        if not is_same and not (isinstance(a, Varying) and self.is_training):
            raise _Differs
        return a


class _Differs(Exception):
    """Two runs differ in an argument."""


def _has_nan(x: np.ndarray) -> bool:
    return x.dtype.kind == "f"


def _drop_training(ours: Step, theirs: Step) -> None:
    """Removes the argument `training` where it follows the model's; sets it where the layer does not train with it."""
    here, there = ours.kwargs.get("training"), theirs.kwargs.get("training")
    if not here and there is True:
        kept = {}
    elif here is None and there is None:
        kept = {"training": False} if takes_training(ours.op) else {}
    else:
        return
    for step in (ours, theirs):
        step.kwargs = {name: x for name, x in step.kwargs.items() if name != "training"} | kept
