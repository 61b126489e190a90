"""What a row of the table of layer types says, and how rows get in; what axis letters mean, `axes.py` says."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import keras
import numpy as np

from tfcompress.layer_table.axes import LETTERS, Axes
from tfcompress.validation import checks

OWN = "own"  # the output has an int8 scale of its own
SAME = "same"  # the output has the scale of the input and only values that were there (MaxPooling, Reshape)
AVERAGE = "average"  # the scale of the input, but new values between (AveragePooling)
BLEND = "blend"  # the same with other weights, rounded like everything else (bilinear resizing)
FIXED = "fixed"  # LiteRT fixes the scale (Softmax, sigmoid, tanh)
FUSE = "fuse"  # becomes part of the operation before it (ReLU)
FOLD = "fold"  # becomes part of the kernel before it (BatchNormalization)
JOIN = "join"  # all inputs, constants too, and the output share one scale (Concatenate, the smaller of two)
NONE = "none"  # no int8 output (integers, or an operation LiteRT runs in float only)


_GRIDS = (OWN, SAME, AVERAGE, BLEND, FIXED, FUSE, FOLD, JOIN, NONE)


@dataclass(frozen=True)
class Left:
    """What a cut leaves of a layer.

    Args:
        outputs: Number of output channels.
        inner: Number of units or heads inside.
        groups: Number of groups of a grouped convolution.
        shape: Shape of the output without batch, None where a size is open.
    """

    outputs: int
    inner: int
    groups: int
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class LayerSpec:
    """What is true of a layer type.

    Args:
        axes: Weight path (attributes joined by `/`, such as `cell/kernel`) to its axis letters.
        flow: How channels travel, a name of `channels/rules.py`: "mix" (new channels), "grouped" (new ones, group by
            group), "pass" (each for itself), "whole" (needs all of them), "merge" (joined one by one), "concat",
            "move" (values change places), "reduce" (some axes vanish), "both" (two directions), "each step" (the
            layer inside, at every step), "attention", "still" (can't be cut) or "unknown".
        width: Constructor argument that sets the number of output channels, if there is one.
        resize: Function `(layer, Left) -> dict` of constructor arguments that change when channels are cut; None where
            `width` says it all.
        kernels: Paths of the weights that techniques treat. Default: every weight with two axes or more.
        grid: How the int8 scale of the output arises, one of the constants of this module.
        fixed: `(low, high)` of the output where `grid` is "fixed".
        pushes: Whether a range found behind the layer serves its input as well (the layer only picks or moves values).
        float_ops: LiteRT operations that stay float inside an int8 file; empty when the layer becomes fully integer.
        inner: Attributes that hold the layers this one wraps (Bidirectional, TimeDistributed).
        step: Whether the layer runs a loop over time, which has to be unrolled for an integer file.
        affine: Whether the layer is `x * factor + shift` with one pair per channel (last axis) at inference, which an
            integer file holds as one depthwise 1x1 convolution.
        written: The same layer as a function `(layer, x, grid)` in operations that LiteRT runs in int8, `grid` rounding
            the values in between; None where its own call does.
        within: What is laid over the layer's own parts so that the values inside lie on grids, a name of
            `fake_quant/attention.py`; None where nothing is.
        inside: Names of those values whose range data must show, for `written` and `within`.
        product: Whether the layer multiplies what it is given, each value by its counterpart.
        outside: Why no `.tflite` file can hold the layer, and the way out; None where one can.
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
    product: bool = False
    outside: str | None = None

    def __post_init__(self) -> None:
        """Validates."""
        if not isinstance(self.axes, Mapping) or not all(isinstance(path, str) for path in self.axes):
            checks.refuse(TypeError, "LayerSpec", "axes", "a dict of weight path -> axis letters", self.axes)
        for path, letters in self.axes.items():
            if not isinstance(letters, str) or set(letters) - set(LETTERS):
                checks.refuse(ValueError, "LayerSpec", f"axes of weight {path!r}", f"letters of {LETTERS!r}", letters)
        object.__setattr__(self, "axes", {path: Axes(letters) for path, letters in self.axes.items()})
        checks.text("LayerSpec", "flow", self.flow)
        checks.choice("LayerSpec", "grid", self.grid, _GRIDS)
        if self.width is not None:
            checks.text("LayerSpec", "width", self.width)
        if self.fixed is not None:
            low, high = (checks.number("LayerSpec", "fixed", v) for v in checks.pair("LayerSpec", "fixed", self.fixed))
            if not low < high:
                checks.refuse(ValueError, "LayerSpec", "fixed", "(low, high) with low < high", self.fixed)
        for name in ("pushes", "step", "affine", "product"):
            checks.flag("LayerSpec", name, getattr(self, name))
        for name in ("kernels", "float_ops", "inner", "inside"):
            object.__setattr__(self, name, checks.texts("LayerSpec", name, getattr(self, name)))
        for name in ("resize", "written"):
            if getattr(self, name) is not None and not callable(getattr(self, name)):
                checks.refuse(TypeError, "LayerSpec", name, "a function or None", getattr(self, name))

    @property
    def is_known(self) -> bool:
        """Whether the type stands in the table."""
        return self.flow != "unknown"

    def output_axes(self, path: str) -> tuple[int, ...]:
        """Returns the positions of a weight's output channels: an entry of them has one sum, and one int8 scale.

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
        """Returns a weight as `(inputs of an output, output channels)`, and the function that undoes it.

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

_table: dict[type, LayerSpec] = {}
_refine: dict[type, Callable[[object, LayerSpec], LayerSpec]] = {}
_operations: dict[str, tuple[LayerSpec, Callable | None]] = {}


def describe(*types: type, refine: Callable[[object, LayerSpec], LayerSpec] | None = None, **facts) -> None:
    """Adds a row to the table, for one or several layer types; works for your own layers.

    Args:
        *types: Layer or operation classes.
        refine: Optional function `(layer, spec) -> spec` for facts that depend on the instance.
        **facts: Fields of `LayerSpec`; any other keyword is a weight path and its axis letters
            (`kernel="xyio"`, `**{"cell/kernel": "ig"}`).

    Raises:
        ValueError: If an axis string holds an unknown letter.

    Example:
        >>> import keras, tfcompress as tfc
        >>> class Scale(keras.layers.Layer):
        ...     def build(self, shape):
        ...         self.kernel = self.add_weight(shape=(shape[-1], 4), name="kernel")
        ...     def call(self, x):
        ...         return x @ self.kernel
        >>> tfc.describe(Scale, flow="mix", kernel="io")
        >>> tfc.spec_of(Scale()).kernels
        ('kernel',)
    """
    for each in types:
        if not isinstance(each, type):
            checks.refuse(TypeError, "describe", "types", "layer or operation classes", each)
    if not types:
        checks.refuse(ValueError, "describe", "types", "one layer or operation class or several", types)
    if refine is not None:
        checks.function("describe", "refine", refine)
    names = set(LayerSpec.__dataclass_fields__)
    axes = dict(facts.pop("axes", {})) | {k: facts.pop(k) for k in list(facts) if k not in names}
    for path, letters in axes.items():
        if not isinstance(letters, str) or set(letters) - set(LETTERS):
            raise ValueError(
                f"describe({types[0].__name__}): axes of weight {path!r} must be letters of {LETTERS!r}. "
                f"Received: {letters!r}"
            )
    kernels = facts.pop("kernels", tuple(p for p, letters in axes.items() if len(letters) > 1))
    for cls in types:
        _table[cls] = LayerSpec(axes=axes, kernels=tuple(kernels), **facts)
        if refine:
            _refine[cls] = refine


def describe_operation(
    *names: str, refine: Callable[[object, LayerSpec], LayerSpec] | None = None, axes=None, **facts
) -> None:
    """Adds a row for classes of Keras that it does not publish, such as the nodes of `keras.ops`, by their names.

    Args:
        *names: Names of classes.
        refine: As for `describe`.
        axes: Weight path to axis letters.
        **facts: Fields of `LayerSpec`.
    """
    for name in names:
        _operations[name] = (LayerSpec(axes=axes or {}, **facts), refine)


def spec_of(layer: object) -> LayerSpec:
    """Returns the facts about a layer or operation, `UNKNOWN` for a type that nobody described.

    A type of yours that computes otherwise than the described type it inherits from has the axes of its weights; of
    what it does nobody knows anything.
    """
    for cls in type(layer).__mro__:
        if cls in _table:
            spec = _table[cls]
            refine = _refine.get(cls)
            spec = refine(layer, spec) if refine else spec
            return LayerSpec(spec.axes, "unknown", kernels=spec.kernels) if _differs(type(layer), cls) else spec
    if isinstance(layer, keras.Operation) and type(layer).__module__.startswith("keras."):
        spec, refine = _operations.get(type(layer).__name__, (UNKNOWN, None))
        return refine(layer, spec) if refine else spec
    return UNKNOWN


# What a subclass may write anew without computing anything else.
_HARMLESS = {
    "__init__", "__repr__", "__doc__", "__module__", "__dict__", "__weakref__", "__qualname__", "__firstlineno__",
    "__static_attributes__", "__annotations__", "__slots__", "build", "get_config", "from_config", "get_build_config",
    "build_from_config", "compute_output_shape", "compute_output_spec", "save_own_variables", "load_own_variables",
    "save_assets", "load_assets", "quantize", "quantized_build",
}  # fmt: skip


@functools.lru_cache(maxsize=4096)
def _differs(cls: type, described: type) -> bool:
    """Whether a class from outside of Keras replaces anything by which the described class computes."""
    before = cls.__mro__[: cls.__mro__.index(described)]
    own = {name for c in before if not c.__module__.startswith("keras.") for name in vars(c)}
    return any(hasattr(described, name) for name in own - _HARMLESS)


def arguments(layer: object, left: Left) -> dict:
    """Returns the constructor arguments of a layer that change when only `left` stays of its channels."""
    spec = spec_of(layer)
    if spec.resize is not None:
        return spec.resize(layer, left)
    return {spec.width: left.outputs} if spec.width else {}


def forget(*types: type) -> None:
    """Takes rows that `describe` added out of the table again."""
    for cls in types:
        _table.pop(cls, None)
        _refine.pop(cls, None)


def rows() -> dict[type, LayerSpec]:
    """Returns a copy of the table, in the order of description."""
    return dict(_table)


def weight(layer: object, path: str) -> keras.Variable:
    """Returns the variable of `layer` at an attribute path such as `kernel` or `cell/kernel`.

    Raises:
        ValueError: If there is no such variable, or the layer is not built.
    """
    found = _at(layer, path)
    if not isinstance(found, keras.Variable):
        raise ValueError(
            f"Layer {getattr(layer, 'name', layer)!r} has no weight {path!r}. "
            "Build the model first (call it once on data), or correct the path given to `describe`."
        )
    return found


def has_weight(layer: object, path: str) -> bool:
    """Whether the layer has a variable at an attribute path; a bias may be left out."""
    return isinstance(_at(layer, path), keras.Variable)


def _at(layer, path):
    found = layer
    for name in path.split("/"):
        holder, found = found, found[int(name)] if name.isdigit() else getattr(found, name, None)
    if not isinstance(found, keras.Variable) and isinstance(holder, keras.layers.Layer):
        # with a LoRA adapter the attribute is the sum; the weight itself has the same name
        return next((v for v in holder.variables if v.name == path.split("/")[-1]), found)
    return found
