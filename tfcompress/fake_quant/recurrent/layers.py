"""Replaces the loops of recurrent layers by loops whose values lie on int8 grids.

The loop is Keras' own, so masks, directions, initial states and returned states are computed as there.
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from tfcompress.fake_quant.attention import Changes, register_inner_parts
from tfcompress.fake_quant.recurrent.steps import StepGrid
from tfcompress.graph.keras_private import override_attributes
from tfcompress.layer_table.lookup import spec_of


def _cell(kind: str) -> Callable[[Any, Any], Changes]:
    def parts(layer: Any, grid: Any) -> Changes:
        return [(layer, "inner_loop", _loop(layer, StepGrid(grid.grid, kind, layer.cell)))]

    return parts


for _kind in ("lstm", "gru", "simple"):
    register_inner_parts(_kind)(_cell(_kind))


@register_inner_parts("both directions")
def _both_directions(layer: Any, grid: Any) -> Changes:
    """Rounds the values inside both layers of a Bidirectional, which also may not merge their loops into one."""
    changes: Changes = []
    directions = []
    for name in spec_of(layer).inner:
        inner = getattr(layer, name)
        directions.append(StepGrid(grid.grid, str(spec_of(inner).within), inner.cell, f"{name.split('_')[0]} "))
        changes.append((inner, "inner_loop", _loop(inner, directions[-1])))
        if hasattr(inner, "use_cudnn"):
            changes.append((inner, "use_cudnn", False))
    return [*changes, (layer, "call", _merged(layer, directions))]


def _merged(layer: Any, directions: list[StepGrid]) -> Callable:
    """Returns the call of a bidirectional layer that merges values on grids, also behind the flip of one direction."""
    merge = layer.merge_mode

    def call(*args: Any, **kwargs: Any) -> Any:
        with override_attributes([(layer, "merge_mode", None)]):
            outputs = type(layer).call(layer, *args, **kwargs)
        pair = [steps.leave(y) for steps, y in zip(directions, outputs[:2], strict=True)]
        merged = _MERGES[merge](*pair)
        return (*merged, *outputs[2:]) if merge is None else (merged, *outputs[2:]) if layer.return_state else merged

    return call


_MERGES: dict[str | None, Callable] = {
    "concat": lambda a, b: ops.concatenate([a, b], axis=-1),
    "sum": lambda a, b: a + b,
    "ave": lambda a, b: (a + b) / 2,
    "mul": lambda a, b: a * b,
    None: lambda a, b: (a, b),
}


def _loop(layer: Any, steps: StepGrid) -> Callable:
    """Returns the loop of a recurrent layer, with its values on grids."""

    def call(inputs: Any, states: Any, training: bool = False) -> tuple[Any, list[Any]]:
        x, own = steps.enter(inputs, list(states)[: len(steps.states)])
        new = steps.step(layer.cell, steps, x, own, training)
        return new[0], [*new, steps.shown(states[-1])] if steps.records else new

    def loop(sequences: Any, initial_state: Any, mask: Any, training: bool = False) -> tuple[Any, Any, list[Any]]:
        mask = mask[0] if keras.tree.is_nested(mask) else mask
        sequences, states = steps.begin(sequences, list(initial_state))
        if steps.records:
            states = [*states, steps.nothing_shown(ops.shape(sequences)[0])]
        with override_attributes([(layer.cell, "call", call)]):
            last, outputs, states = keras.layers.RNN.inner_loop(layer, sequences, states, mask, training)
        if steps.records:
            *states, shown = states
            steps.take(shown)
        elif steps.grid.exports:  # the converter has to be told that what leaves the loop lies on grids
            last, outputs = (steps.state(steps.states[0], y) for y in (last, outputs))
            states = [steps.state(name, s) for name, s in zip(steps.states, states, strict=True)]
        return last, outputs, list(states)

    return loop
