"""Computes one step of a recurrent cell in operations that LiteRT runs in int8, every value on a grid of its own.

`grid.sums` rounds what a kernel makes of the input, of the state, or of the value of a range.
Each function is `(cell, grid, x, states, training) -> new states`, the first of which is the output of the step. `grid`
rounds a value to the range of that name; a state has the same grid where a step reads it and where a step writes it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from tfcompress.layer_table.activations import activation_spec
from tfcompress.layer_table.spec import FIXED

INPUT, STATE = "x", "h"  # names of the grids of what a step is given
Cell = Callable[[Any, Any, Any, Sequence[Any], bool], list[Any]]


def lstm(cell: Any, grid: Any, x: Any, states: Sequence[Any], training: bool) -> list[Any]:
    """Computes a step of an LSTM (Hochreiter and Schmidhuber, "Long Short-Term Memory", 1997)."""
    h, c = states
    seen = _dropped(cell.get_dropout_mask, cell.dropout, x, training)
    kept = _dropped(cell.get_recurrent_dropout_mask, cell.recurrent_dropout, h, training)
    zx = grid.sums("zx", _product(seen, cell.kernel, cell.bias, 4), cell.kernel, INPUT)
    zh = grid.sums("zh", _product(kept, cell.recurrent_kernel, None, 4), cell.recurrent_kernel, STATE)
    i, f, new, o = ops.split(grid("z", zx + zh), 4, axis=1)
    i, f, o = (_bent(grid, cell.recurrent_activation, "gate", z) for z in (i, f, o))
    held = grid("fc", f * c)
    c = grid("c", held + grid("ig", i * _bent(grid, cell.activation, "bent", new)))
    return [grid("h", o * _bent(grid, cell.activation, "bent", c)), c]


def gru(cell: Any, grid: Any, x: Any, states: Sequence[Any], training: bool) -> list[Any]:
    """Computes a step of a GRU (Cho et al., 2014); the new state is `n + z (h - n)`, which needs no `1 - z`."""
    (h,) = states
    bias, after = _gru_biases(cell)
    seen = _dropped(cell.get_dropout_mask, cell.dropout, x, training)
    kept = _dropped(cell.get_recurrent_dropout_mask, cell.recurrent_dropout, h, training)
    xz, xr, xn = ops.split(grid.sums("zx", _product(seen, cell.kernel, bias, 3), cell.kernel, INPUT), 3, axis=1)
    kernel, two = cell.recurrent_kernel, 2 * cell.units
    if cell.reset_after:
        hz, hr, hn = ops.split(grid.sums("zh", _product(kept, kernel, after, 3), kernel, STATE), 3, axis=1)
    else:
        before = kept[:2] if len(kept) > 1 else kept
        made = _product(before, kernel[:, :two], None, 2)
        hz, hr = ops.split(grid.sums("zh", made, kernel, STATE, slice(two)), 2, axis=1)
    z, r = (_bent(grid, cell.recurrent_activation, "gate", grid("z", part)) for part in (xz + hz, xr + hr))
    if cell.reset_after:
        reset = grid("rh", r * hn)
    else:
        made = ops.matmul(grid("rh", r * kept[-1]), kernel[:, two:])
        reset = grid.sums("zr", made, kernel, "rh", slice(two, None))
    n = _bent(grid, cell.activation, "bent", grid("n", xn + reset))
    return [grid("h", n + grid("zg", z * grid("gap", h - n)))]


def simple(cell: Any, grid: Any, x: Any, states: Sequence[Any], training: bool) -> list[Any]:
    """Computes a step of a fully-connected recurrent layer; a state behind tanh has the grid that LiteRT fixes."""
    seen = _dropped(cell.get_dropout_mask, cell.dropout, x, training)
    kept = _dropped(cell.get_recurrent_dropout_mask, cell.recurrent_dropout, states[0], training)
    zx = grid.sums("zx", _product(seen, cell.kernel, cell.bias, 1), cell.kernel, INPUT)
    zh = grid.sums("zh", _product(kept, cell.recurrent_kernel, None, 1), cell.recurrent_kernel, STATE)
    return [_bent(grid, cell.activation, "h", grid("z", zx + zh))]


CELLS: dict[str, tuple[Cell, tuple[str, ...]]] = {
    "lstm": (lstm, ("h", "c")),
    "gru": (gru, ("h",)),
    "simple": (simple, ("h",)),
}
"""By the name in the layer table the step of a cell, and the names of the ranges of its states."""


def _gru_biases(cell: Any) -> tuple[Any, Any]:
    """Returns the bias beside the input's kernel, and the one beside the state's."""
    if cell.bias is None or not cell.reset_after:
        return cell.bias, None
    return cell.bias[0], cell.bias[1]


def _dropped(mask_of: Callable, rate: float, x: Any, training: bool) -> list[Any]:
    """Returns the input of each gate under its dropout mask; one input where all gates share it."""
    if not training or not 0.0 < rate < 1.0:
        return [x]
    masks = mask_of(x)
    return [x * mask for mask in (masks if isinstance(masks, list | tuple) else [masks])]


def _product(inputs: Sequence[Any], kernel: Any, bias: Any, gates: int) -> Any:
    """Multiplies inputs with the kernels of all gates; several inputs each with the kernel of their gate."""
    if len(inputs) == 1:
        y = ops.matmul(inputs[0], kernel)
    else:
        parts = zip(inputs, ops.split(kernel, gates, axis=1), strict=True)
        y = ops.concatenate([ops.matmul(x, k) for x, k in parts], axis=-1)
    return y if bias is None else y + bias


def _bent(grid: Any, function: Callable, name: str, x: Any) -> Any:
    """Applies an activation function; where LiteRT does not fix the grid of its output it needs a range."""
    y = x if function is None or function is keras.activations.linear else function(x)
    spec = activation_spec(function)
    return grid.known(y, spec.fixed) if spec.grid == FIXED else grid(name, y)
