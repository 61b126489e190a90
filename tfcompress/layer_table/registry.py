"""Adds rows to the layer table, and finds the row of a layer."""

import functools
import weakref
from collections.abc import Callable
from types import ModuleType
from typing import Any

import keras

from tfcompress.layer_table.axes import LETTERS
from tfcompress.layer_table.inner_operation import InnerOperation
from tfcompress.layer_table.spec import UNKNOWN, LayerSpec, Left
from tfcompress.validation import checks

_table: dict[type, LayerSpec] = {}
_refine: dict[type, Callable[[object, LayerSpec], LayerSpec]] = {}
_objects: "weakref.WeakKeyDictionary[Any, LayerSpec]" = weakref.WeakKeyDictionary()
_operations: dict[str, tuple[LayerSpec, Callable | None]] = {}


def describe(*types: type, refine: Callable[[object, LayerSpec], LayerSpec] | None = None, **facts: Any) -> None:
    """Adds a row to the layer table for one or several layer types, also for your own.

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
                f"Received: {letters!r}. help(tfc.LayerSpec) says what each letter means."
            )
    kernels = facts.pop("kernels", tuple(p for p, letters in axes.items() if len(letters) > 1))
    for cls in types:
        _table[cls] = LayerSpec(axes=axes, kernels=tuple(kernels), **facts)
        if refine:
            _refine[cls] = refine


def present(module: ModuleType, *names: str) -> tuple[Any, ...]:
    """Returns what a module of Keras has under some names; what came with a later Keras gets no row.

    Args:
        module: `keras.layers`, `keras.activations` or `keras.ops`.
        *names: Public names.

    Example:
        >>> import keras
        >>> [found.__name__ for found in present(keras.layers, "Dense", "LayerOfTomorrow")]
        ['Dense']
    """
    return tuple(getattr(module, name) for name in names if hasattr(module, name))


def describe_operation(
    *names: str, refine: Callable[[object, LayerSpec], LayerSpec] | None = None, axes: Any = None, **facts: Any
) -> None:
    """Adds a row for private classes of Keras, such as the nodes of `keras.ops`, by the names of the classes.

    Args:
        *names: Names of classes.
        refine: As for `describe`.
        axes: Weight path to axis letters.
        **facts: Fields of `LayerSpec`.
    """
    for name in names:
        _operations[name] = (LayerSpec(axes=axes or {}, **facts), refine)


def describe_object(layer: Any, spec: LayerSpec) -> None:
    """Sets the row of one layer object, whatever its type's is; its copies get it too.

    Args:
        layer: A layer.
        spec: Its row.
    """
    _objects[layer] = spec


def row_of_object(layer: Any) -> LayerSpec | None:
    """Returns the row that was set for one layer object alone; None for other layers."""
    return _objects.get(layer) if isinstance(layer, keras.layers.Layer) else None


def spec_of(layer: Any) -> LayerSpec:
    """Returns the row of the layer table for a layer or operation; `UNKNOWN` for a type without one.

    A subclass of your own that overrides how a type with a row computes inherits only the axes of the weights; its
    other facts are unknown until `describe` adds a row for it.
    """
    if isinstance(layer, InnerOperation):
        spec, refine = _operations.get(layer.kind, (UNKNOWN, None))
        return refine(layer, spec) if refine else spec
    if (own := row_of_object(layer)) is not None:
        return own
    kind: Any = type(layer)
    for cls in kind.__mro__:
        if cls in _table:
            spec = _table[cls]
            refine = _refine.get(cls)
            spec = refine(layer, spec) if refine else spec
            return LayerSpec(spec.axes, "unknown", kernels=spec.kernels) if _differs(kind, cls) else spec
    if isinstance(layer, keras.Operation) and is_of_keras(layer):
        spec, refine = _operations.get(type(layer).__name__, (UNKNOWN, None))
        return refine(layer, spec) if refine else spec
    return UNKNOWN


def is_of_keras(layer: object) -> bool:
    """Whether a layer or operation is of a class of Keras itself, not of a subclass from elsewhere."""
    return type(layer).__module__.startswith("keras.")


# Names that a subclass may override without computing anything else.
_HARMLESS = {
    "__init__", "__repr__", "__doc__", "__module__", "__dict__", "__weakref__", "__qualname__", "__firstlineno__",
    "__static_attributes__", "__annotations__", "__slots__", "build", "get_config", "from_config", "get_build_config",
    "build_from_config", "compute_output_shape", "compute_output_spec", "save_own_variables", "load_own_variables",
    "save_assets", "load_assets", "quantize", "quantized_build",
}  # fmt: skip


@functools.lru_cache(maxsize=4096)
def _differs(cls: type, described: type) -> bool:
    """Whether a subclass from outside of Keras overrides anything that changes what the described class computes."""
    before = cls.__mro__[: cls.__mro__.index(described)]
    own = {name for c in before if not c.__module__.startswith("keras.") for name in vars(c)}
    return any(hasattr(described, name) for name in own - _HARMLESS)


def arguments(layer: object, left: Left) -> dict:
    """Returns the constructor arguments of a layer that change when its channels are cut to `left`."""
    spec = spec_of(layer)
    if spec.resize is not None:
        return spec.resize(layer, left)
    return {spec.width: left.outputs} if spec.width else {}


def remove_rows(*types: type) -> None:
    """Removes the rows of some types from the layer table."""
    for cls in types:
        _table.pop(cls, None)
        _refine.pop(cls, None)


def rows() -> dict[type, LayerSpec]:
    """Returns a copy of the layer table, in the order in which rows were added."""
    return dict(_table)
