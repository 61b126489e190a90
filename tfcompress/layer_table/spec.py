"""The row of the layer table: all facts about one layer type. The axis letters are explained in `axes.py`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from tfcompress.layer_table.axes import LETTERS, Axes
from tfcompress.validation import checks

OWN = "own"  # the output has an int8 scale of its own
SAME = "same"  # the output has the scale of the input, and only values of the input (MaxPooling, Reshape)
AVERAGE = "average"  # the scale of the input, but new values between its values (AveragePooling)
BLEND = "blend"  # the same with other weights, rounded like everything else (bilinear resizing)
FIXED = "fixed"  # LiteRT fixes the scale (Softmax, sigmoid, tanh)
FUSE = "fuse"  # becomes part of the operation before it (ReLU)
FOLD = "fold"  # becomes part of the kernel before it (BatchNormalization)
JOIN = "join"  # all inputs, constants too, and the output share one scale (Concatenate, Minimum)
NONE = "none"  # no int8 output (integers, or an operation LiteRT runs in float only)


SOFTMAX, SIGMOID = "softmax", "sigmoid"  # the functions that give probabilities

_GRIDS = (OWN, SAME, AVERAGE, BLEND, FIXED, FUSE, FOLD, JOIN, NONE)


FLOWS = (  # how channels travel; `channels/rules.py` has a rule for each
    *("mix", "grouped", "pass", "whole", "merge", "concat", "move", "reduce", "both", "each step", "attention"),
    *("choose", "stack", "split", "pad", "place", "along", "matmul", "einsum", "first", "weight", "constant"),
    "project",
    *("still", "unknown"),
)

_FLAGS = (
    *("pushes", "step", "affine", "product", "is_linear", "is_homogeneous", "is_positive", "is_identity", "is_sum"),
    *("is_quotient", "is_trailing", "pads_zeros", "affine_commutes", "repeats_channels", "holds_code"),
    *("passes_masks", "is_lacking", "is_bias", "reads_all"),
)


@dataclass(frozen=True)
class Left:
    """The sizes of a layer after channels were cut.

    Args:
        outputs: Number of output channels.
        inner: Number of units or heads inside.
        groups: Number of groups of a grouped convolution.
        shape: Shape of the output without batch, None where a size is unknown.
    """

    outputs: int
    inner: int
    groups: int
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class LayerSpec:
    """A row of the layer table: the facts about a layer type.

    Args:
        axes: Weight path (attributes joined by `/`, such as `cell/kernel`) to its axis letters, one for each axis in
            the order of the weight's shape: "i" input channel, "o" output channel, "c" one channel in and out, "m"
            multiplier (how often a channel comes out), "x" "y" "z" space, "v" vocabulary, "g" gates of a recurrent
            cell, "n" "d" heads that the layer computes inside and their dimensions, "r" "e" units or heads read from
            inside the layer and their dimensions, "j" an input channel within a group or another axis that is never
            cut.
        flow: How channels travel: "mix" (new channels), "grouped" (new ones, group by
            group), "pass" (each by itself), "whole" (needs all of them), "merge" (combined one by one), "concat",
            "move" (values change places), "reduce" (some axes vanish), "both" (two directions), "each step" (the
            layer inside, at every step), "attention", "choose" (one of the inputs at each place, or whether one is
            larger), "stack", "split", "pad", "place" (values at some places), "along" (needs all along one axis),
            "matmul" and "einsum" (of two activations), "first" (that of the first input), "weight" (makes channels of
            nothing), "constant",
            "project" (makes heads, or reads them), "still" (can't be cut) or "unknown".
        width: Constructor argument that sets the number of output channels, if there is one.
        resize: Function `(layer, Left) -> dict` of constructor arguments that change when channels are cut; None where
            `width` is the only one.
        kernels: Paths of the weights that techniques compress. Default: every weight with two axes or more.
        grid: The origin of the int8 scale of the output, one of the constants of this module.
        fixed: `(low, high)` of the output where `grid` is "fixed".
        pushes: Whether an activation range behind the layer also serves its input (the layer only picks or moves
            values).
        float_ops: LiteRT operations that stay float inside an int8 file; empty when the layer becomes fully integer.
        inner: Attributes that hold the layers this one wraps (Bidirectional, TimeDistributed).
        step: Whether the layer runs a loop over time, which has to be unrolled for an integer file.
        affine: Whether the layer is `x * factor + shift` with one pair per channel (last axis) at inference, which an
            integer file holds as one depthwise 1x1 convolution.
        written: The integer rewrite of the layer, a function `(layer, x, grid)` in operations that LiteRT runs in int8,
            where `grid` rounds the values in between; None where LiteRT runs the layer's own operations in int8.
        within: Name of the function in `fake_quant/attention.py` that replaces parts of the layer, so that the values
            inside lie on grids; None where there is none.
        inside: Names of the values inside `written` or `within` that need a calibrated range.
        shares: Names of the values inside whose ranges the outputs have, one for each output; "own" for a range of its
            own.
        product: Whether the layer multiplies its inputs elementwise.
        outside: Why no `.tflite` file can hold the layer, and the way out; None where one can.
        is_linear: Whether the layer is `activation(kernel x + bias)` with nothing but its kernels, one after the
            other, so that it may be factorized, merged or replaced; a lookup table counts too.
        is_homogeneous: Whether `f(s x) = s f(x)` for s > 0, with the same f for all channels (apart from weights).
        is_positive: Whether the outputs of the layer are never negative.
        is_identity: Whether the layer returns its input at inference.
        is_sum: Whether the layer adds its inputs elementwise.
        is_quotient: Whether the layer divides its inputs elementwise.
        is_trailing: Whether the layer belongs to the one before it and is removed with it (activations, dropout).
        pads_zeros: Whether the layer pads its input with zeros.
        affine_commutes: Whether scaling and shifting channels gives the same before the layer as behind it, also in
            training.
        function: What the operation computes of its input, where a normalization is recognized by it: "square", "mean",
            "variance", "moments", "square root", "reciprocal root", "reciprocal", "difference"; or "cast".
        reads_all: Whether `written` gets all arguments, `(op, args, kwargs, grid)`.
        is_bias: Whether the operation adds a vector of weights, a bias where a kernel is in front of it.
        is_lacking: Whether LiteRT lacks the operation altogether, so that every file, also of floats, needs `written`.
        passes_masks: Whether a huge number among its inputs, such as the -1e9 of a mask, makes a huge number of the
            output at the same place (sums, products, choices).
        holds_code: Whether the layer's call runs a function that it was given (Lambda).
        repeats_channels: Whether the last axis of the output holds the channels of the input, place after place
            (Flatten).
        output_factors: Paths of the weights of a last step `factor * y + shift` of each channel (normalizations), the
            factor first: with all of them times s the output is times s.
        input_kernels: Paths of the kernels that alone read the inputs of a layer that is no single linear one: with all
            of them times s, along their axis "i", the layer computes what it computed of inputs times s.
        relu_cap: The largest value of a ReLU that has one; None for any other layer.
        probabilities: "softmax" or "sigmoid" where the outputs are such probabilities; None elsewhere.
        scale_and_shift: Function `layer -> (factor, shift)` of a layer that is `x * factor + shift` with constants of
            its own (Rescaling); None for other layers, and for one without its constants yet.
        count_macs: Function `(layer, input shapes, output shape, count) -> MACs or None`, where these are not kernel
            size times output positions; `count(layer, input shapes, output shape)` counts a layer inside.
    """

    axes: Mapping[str, Axes] = field(default_factory=dict)
    flow: str = "pass"
    width: str | None = None
    resize: Callable[[object, "Left"], dict] | None = None
    kernels: tuple[str, ...] = ()
    grid: str = OWN
    fixed: tuple[float, float] | None = None
    pushes: bool = False
    float_ops: tuple[str, ...] = ()
    inner: tuple[str, ...] = ()
    step: bool = False
    affine: bool = False
    written: Callable | None = None
    within: str | None = None
    inside: tuple[str, ...] = ()
    shares: tuple[str, ...] = ()
    product: bool = False
    outside: str | None = None
    is_linear: bool = False
    is_homogeneous: bool = False
    is_positive: bool = False
    is_identity: bool = False
    is_sum: bool = False
    is_quotient: bool = False
    is_trailing: bool = False
    pads_zeros: bool = False
    affine_commutes: bool = False
    repeats_channels: bool = False
    holds_code: bool = False
    passes_masks: bool = False
    is_lacking: bool = False
    is_bias: bool = False
    function: str | None = None
    reads_all: bool = False
    output_factors: tuple[str, ...] = ()
    input_kernels: tuple[str, ...] = ()
    relu_cap: float | None = None
    probabilities: str | None = None
    scale_and_shift: Callable | None = None
    count_macs: Callable | None = None

    def __post_init__(self) -> None:
        """Validates."""
        if not isinstance(self.axes, Mapping) or not all(isinstance(path, str) for path in self.axes):
            checks.refuse(TypeError, "LayerSpec", "axes", "a dict of weight path -> axis letters", self.axes)
        for path, letters in self.axes.items():
            if not isinstance(letters, str) or set(letters) - set(LETTERS):
                checks.refuse(ValueError, "LayerSpec", f"axes of weight {path!r}", f"letters of {LETTERS!r}", letters)
        object.__setattr__(self, "axes", {path: Axes(letters) for path, letters in self.axes.items()})
        checks.choice("LayerSpec", "flow", self.flow, FLOWS)
        checks.choice("LayerSpec", "grid", self.grid, _GRIDS)
        if self.width is not None:
            checks.text("LayerSpec", "width", self.width)
        if self.fixed is not None:
            low, high = (checks.number("LayerSpec", "fixed", v) for v in checks.pair("LayerSpec", "fixed", self.fixed))
            if not low < high:
                checks.refuse(ValueError, "LayerSpec", "fixed", "(low, high) with low < high", self.fixed)
        for name in _FLAGS:
            checks.flag("LayerSpec", name, getattr(self, name))
        for name in ("kernels", "float_ops", "inner", "inside", "shares", "output_factors", "input_kernels"):
            object.__setattr__(self, name, checks.texts("LayerSpec", name, getattr(self, name)))
        if self.probabilities is not None:
            checks.choice("LayerSpec", "probabilities", self.probabilities, (SOFTMAX, SIGMOID))
        if self.relu_cap is not None:
            checks.number("LayerSpec", "relu_cap", self.relu_cap)
        for name in ("resize", "written", "scale_and_shift", "count_macs"):
            if getattr(self, name) is not None and not callable(getattr(self, name)):
                checks.refuse(TypeError, "LayerSpec", name, "a function or None", getattr(self, name))

    @property
    def is_known(self) -> bool:
        """Whether it is known what the layer computes."""
        return self.flow != "unknown"

    @property
    def is_dense(self) -> bool:
        """Whether the layer computes what Dense does: one matrix over the last axis, a bias and an activation."""
        return self.is_linear and self.width is not None and [self.axes[p] for p in self.kernels] == [Axes("io")]

    @property
    def is_table(self) -> bool:
        """Whether a weight of the layer is a lookup table."""
        return any(axes.is_table for axes in self.axes.values())

    def output_axes(self, path: str) -> tuple[int, ...]:
        """Returns the positions of the axes of a weight's output channels; each channel has one sum and one int8 scale.

        Args:
            path: Path of the weight, such as `kernel`.

        Example:
            >>> import keras, tfcompress as tfc
            >>> tfc.spec_of(keras.layers.DepthwiseConv2D(3)).output_axes("kernel")
            (2, 3)
        """
        return self.axes[path].outputs

    def input_axes(self, path: str) -> tuple[int, ...]:
        """Returns the positions of the axes of a weight that one output channel sums over.

        Args:
            path: Path of the weight, such as `kernel`.
        """
        return self.axes[path].inputs

    def matrix(self, path: str, w: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
        """Reshapes a weight to a matrix `(inputs of an output, output channels)`; returns it and the inverse function.

        Args:
            path: Path of the weight, such as `kernel`.
            w: Its value, or an array of its shape.

        Example:
            >>> import keras, numpy as np, tfcompress as tfc
            >>> spec = tfc.spec_of(keras.layers.Conv2D(16, 3))
            >>> matrix, restore = spec.matrix("kernel", np.zeros((3, 3, 8, 16)))
            >>> matrix.shape, restore(matrix).shape
            ((72, 16), (3, 3, 8, 16))
        """
        return self.axes[path].matrix(w)

    channel_axes = output_axes  # names of release 0.1
    fan_in_axes = input_axes


UNKNOWN = LayerSpec(flow="unknown")
