"""Rounds the values of a recurrent cell in every step of a loop, to ranges that all steps share."""

from typing import Any

import tensorflow as tf

from tfcompress.fake_quant.intermediate_ranges import IntermediateRanges, fixed_limits
from tfcompress.fake_quant.litert_rounding import round_sums, weight_step
from tfcompress.fake_quant.transforms.ranges import APPLY, OBSERVE, TRAIN, ActivationRange, fake_quant
from tfcompress.layer_table.activations import activation, activation_spec
from tfcompress.layer_table.recurrent.cells import CELLS, INPUT, STATE


class StepGrid:
    """The grids of the values of one cell in one pass.

    A loop can't update the variables of ranges in its body. While ranges observe or train, the lowest and the highest
    values that each sample has shown travel through the loop as one more state, and each range takes them behind it.

    Args:
        grid: What rounds the values of the layer in this pass.
        kind: Name of the cell in `CELLS`.
        cell: The cell.
        prefix: Put before the names of the ranges, for the directions of a bidirectional layer.
    """

    def __init__(self, grid: IntermediateRanges, kind: str, cell: Any, prefix: str = ""):
        self.grid, self.prefix = grid, prefix
        self.step, self.states = CELLS[kind]
        named = {n.removeprefix(prefix): s for n, s in grid.ranges.items() if n.startswith(prefix) or n == STATE}
        self.ranges: dict[str, ActivationRange] = {name: s for name, s in named.items() if name != INPUT}
        self.limits = None if STATE in self.ranges else activation_spec(activation(cell)).fixed
        self.records = grid.how in (OBSERVE, TRAIN)
        self.is_known = grid.exports or grid.is_final and grid.how == APPLY
        self.bounds: dict[str, tuple] = {}
        self.seen: dict[str, tuple] = {}

    def begin(self, sequences: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        """Reads the bounds of all ranges before the loop, and rounds what the first step reads."""
        if not self.is_known and self.grid.how != OBSERVE:
            self.bounds = {name: span.before_steps(self.grid.how == TRAIN) for name, span in self.ranges.items()}
        if self.grid.source is None:
            sequences = tf.cast(self.grid(self.prefix + INPUT, tf.cast(sequences, tf.float32)), sequences.dtype)
        elif self.records:  # saved with the others, so it is set like them
            self.grid(self.prefix + INPUT, tf.stop_gradient(tf.cast(sequences, tf.float32)))
        return sequences, [self.state(name, x) for name, x in zip(self.states, states, strict=True)]

    def enter(self, x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        """Rounds what a step reads: it lies on grids already, which only the converter has to be told in the loop."""
        if not self.grid.exports:
            return x, states
        source = self.grid.source
        if isinstance(source, tuple):
            x = self.known(x, source)
        else:
            x = self.grid(self.prefix + INPUT, x) if source is None else source(x, export=True)
        return x, [self.state(name, s) for name, s in zip(self.states, states, strict=True)]

    def state(self, name: str, x: Any) -> Any:
        """Rounds a state; that of a cell whose activation function has a fixed grid has this grid."""
        return self(name, x) if self.limits is None else self.known(x, self.limits)

    def leave(self, x: Any) -> Any:
        """Rounds the output of the layer where something moved it behind the loop, which the file has to be told."""
        return self.state(self.states[0], x) if self.grid.exports else x

    def __call__(self, name: str, x: Any) -> Any:
        """Rounds a value to the range of that name; without one it stays as it is."""
        if name not in self.ranges:
            return x
        y = tf.cast(x, tf.float32)
        if self.records:
            self._see(name, tf.stop_gradient(y))
        return tf.cast(self._rounded(self.ranges[name], self.bounds.get(name), y), x.dtype)

    def sums(self, name: str, x: Any, kernel: Any, of: str, part: slice = slice(None)) -> Any:
        """Rounds the sums of a kernel to the range of that name, in the simulation of a file as XNNPACK does.

        Args:
            name: Name of the range.
            x: The sums, with their bias.
            kernel: The variable of the kernel.
            of: Name of the grid of what the kernel reads.
            part: The output channels that the sums are of.
        """
        axes, source = self.grid.kernel_axes.get(id(kernel)), self._source(of)
        if axes is None or source is None or not self.grid.simulates or not self.is_known or name not in self.ranges:
            return self(name, x)
        step = weight_step(tf.convert_to_tensor(kernel), axes)
        step = step[part] if axes else step
        return self(name, tf.cast(round_sums(tf.cast(x, tf.float32), source, step, self.ranges[name]), x.dtype))

    def _source(self, name: str) -> Any:
        """Returns the range or the fixed limits of what a kernel reads; None where they are not known."""
        if name == INPUT:
            return self.grid.source or self.grid.ranges.get(self.prefix + INPUT)
        return self.ranges.get(name, self.limits)

    def known(self, x: Any, limits: tuple[float, float]) -> Any:
        """Rounds a value to the grid that LiteRT fixes; inside of a loop the converter has to be told that, too."""
        if self.grid.how == OBSERVE:
            return x
        return tf.cast(self.grid.fixed(tf.cast(x, tf.float32), *fixed_limits(limits, self.grid.bits)), x.dtype)

    def _rounded(self, span: ActivationRange, bounds: tuple | None, x: Any) -> Any:
        if self.grid.exports:
            return span(x, export=True)
        if self.is_known:
            return span.rounded(x)
        if bounds is None:
            return x
        low, high, is_set = bounds
        rounded = tf.quantization.fake_quant_with_min_max_vars if span.own_weights() else fake_quant
        return tf.where(is_set, rounded(x, low, high, span.bits), x)

    def _see(self, name: str, x: Any) -> None:
        low, high = tf.reduce_min(x, axis=-1), tf.reduce_max(x, axis=-1)
        if name in self.seen:
            low, high = tf.minimum(low, self.seen[name][0]), tf.maximum(high, self.seen[name][1])
        self.seen[name] = (low, high)

    def nothing_shown(self, samples: Any) -> Any:
        """Returns the state of extremes before the first step: every range includes zero."""
        return tf.zeros((samples, 2 * len(self.ranges)))

    def shown(self, before: Any) -> Any:
        """Returns the state of extremes behind the step that is traced, given the one before it."""
        zero, halves = tf.zeros_like(before[:, 0]), []
        for half, widest in ((0, tf.minimum), (1, tf.maximum)):
            values = [self.seen[name][half] if name in self.seen else zero for name in self.ranges]
            halves.append(widest(tf.split(before, 2, axis=-1)[half], tf.stack(values, axis=-1)))
        self.seen = {}
        return tf.concat(halves, axis=-1)

    def take(self, shown: Any) -> None:
        """Gives each range the extremes of all samples and steps."""
        low, high = tf.split(tf.stop_gradient(shown), 2, axis=-1)
        lowest, highest = tf.reduce_min(low, axis=0), tf.reduce_max(high, axis=0)
        for k, span in enumerate(self.ranges.values()):
            span.after_steps(lowest[k], highest[k], self.grid.how == TRAIN)
