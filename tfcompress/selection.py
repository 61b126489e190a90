"""Selects the layers and weights that a technique compresses, and the value that holds for each layer.

A key names layers in one way everywhere: a regular expression that matches the whole layer name,
or the name of the layer's class or of one of its bases, or that class. Where several keys match,
a layer name wins over a type, and a nearer base class over a farther one.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import keras

from tfcompress.text.printable import shown
from tfcompress.validation import checks

Key = str | type
_LARGEST = 2**62  # elements of a weight


@keras.saving.register_keras_serializable("tfcompress")
@dataclasses.dataclass(frozen=True)
class Where:
    """A selection of weights by layer, weight path, size or condition; every given criterion must hold.

    Args:
        layers: Keys, one or several, of which the layer must match one. Empty: all layers.
        skip: Keys; a layer that matches one of them is left out.
        weights: Regular expressions, one or several; one must match the whole weight path within
            the layer ("kernel", "block/dw/kernel") or its last part. Empty: all weights.
        min_size: Smallest number of elements of a selected weight.
        condition: `condition(layer) -> bool`. A selection with a condition can't be written to JSON.

    Raises:
        ValueError: If a regular expression does not compile or min_size is negative.
        TypeError: If a key is neither text nor a class.

    Example:
        >>> layer = keras.layers.Dense(3, name="head")
        >>> Where("Dense")(layer, "kernel"), Where(skip="head.*")(layer, "kernel")
        (True, False)
    """

    layers: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    min_size: int = 0
    condition: Callable[[keras.layers.Layer], bool] | None = None

    if TYPE_CHECKING:  # what may be given; what is stored is checked text

        def __init__(
            self,
            layers: Key | Iterable[Key] = (),
            skip: Key | Iterable[Key] = (),
            weights: str | Iterable[str] = (),
            min_size: int = 0,
            condition: Callable[[keras.layers.Layer], bool] | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        """Validates; classes are stored by name, so that the selection can be written to JSON."""
        for field in ("layers", "skip", "weights"):
            object.__setattr__(self, field, _keys(field, getattr(self, field)))
        object.__setattr__(self, "min_size", checks.whole("Where", "min_size", self.min_size, 0, _LARGEST))
        if self.condition is not None:
            checks.function("Where", "condition", self.condition, "callable(layer) -> bool")

    def __call__(self, layer: keras.layers.Layer, path: str, size: int | None = None) -> bool:
        """Whether a weight of a layer is selected.

        Args:
            layer: A Keras layer; built, if min_size is given and size is not.
            path: Path of the weight within the layer, parts joined by "/".
            size: Number of elements of the weight; looked up in the layer when None.

        Returns:
            True if every criterion holds.

        Raises:
            ValueError: If the size is needed and the layer has no such weight yet.
        """
        if self.layers and not any(matches(layer, key) for key in self.layers):
            return False
        if any(matches(layer, key) for key in self.skip):
            return False
        names = (path, path.rsplit("/", 1)[-1])
        if self.weights and not any(re.fullmatch(pattern, name) for pattern in self.weights for name in names):
            return False
        if self.min_size and (_size(layer, path) if size is None else size) < self.min_size:
            return False
        return self.condition is None or bool(self.condition(layer))

    def get_config(self) -> dict[str, Any]:
        """Returns the fields as JSON values.

        Raises:
            ValueError: If there is a condition.
        """
        if self.condition is not None:
            raise ValueError(
                "Where: a selection with condition=... can't be written to JSON, because a function is code. "
                f"Received: {self.condition!r}. Use layers, skip, weights or min_size."
            )
        return {
            "layers": list(self.layers),
            "skip": list(self.skip),
            "weights": list(self.weights),
            "min_size": self.min_size,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Where:
        """Inverse of `get_config`."""
        return cls(**config)


def where(value: Any) -> Where:
    """Makes a `Where` of a pattern, a type, a list of these or a function.

    Args:
        value: None (everything), a `Where`, a key or several keys (see `Where.layers`), or a
            callable(layer) -> bool.

    Returns:
        A `Where`.

    Raises:
        TypeError: If it is none of these.

    Example:
        >>> where("conv.*") == Where(layers="conv.*")
        True
    """
    if value is None:
        return Where()
    if isinstance(value, Where):
        return value
    if isinstance(value, (str, type, list, tuple, set)):
        return Where(layers=value)
    if callable(value):
        return Where(condition=value)
    raise TypeError(
        "where must be None, a Where, a layer name pattern, a layer type, a list of these or a "
        f"callable(layer) -> bool. Received: {shown(value)} of type {type(value).__name__}."
    )


def matches(layer: keras.layers.Layer, key: Key) -> bool:
    """Whether a key matches a layer, by name or by type.

    Args:
        layer: A Keras layer.
        key: Regular expression for the whole layer name, or a class, or a class name.

    Returns:
        True if it does.

    Example:
        >>> matches(keras.layers.Dense(3, name="head"), "head|tail")
        True
        >>> matches(keras.layers.Dense(3, name="head"), keras.layers.Layer)
        True
    """
    (key,) = _keys("key", key)
    holder = getattr(layer, "held_by", None)  # of an operation inside of a layer's call
    return _by_name(layer, key) or _by_type(layer, key) is not None or holder is not None and matches(holder, key)


def resolve(layer: keras.layers.Layer, default: Any, overrides: Mapping[Key, Any] | None = None) -> Any:
    """Returns the value for a layer: that of the key that matches it best, or the default.

    Args:
        layer: A Keras layer.
        default: Value where no override matches.
        overrides: `{key: value}`; the value None leaves the layer alone.

    Returns:
        The value of the first key that matches the layer's name; without one, of the key that
        names its nearest type; without one, the default.

    Example:
        >>> resolve(keras.layers.Dense(3, name="head"), 8, {"Dense": 4, "head": None}) is None
        True
    """
    keys = [(_keys("overrides", key)[0], value) for key, value in (overrides or {}).items()]
    for key, value in keys:
        if _by_name(layer, key):
            return value
    # min is stable: of two keys at the same distance the first one wins
    typed = [(far, value) for key, value in keys if (far := _by_type(layer, key)) is not None]
    if typed:
        return min(typed, key=lambda pair: pair[0])[1]
    holder = getattr(layer, "held_by", None)  # of an operation inside of a layer's call
    return default if holder is None else resolve(holder, default, overrides)


def unmatched(layers: Iterable[keras.layers.Layer], keys: Iterable[Key]) -> list[str]:
    """Returns the keys that match none of the layers, so that a misspelt name is reported.

    Args:
        layers: The layers of a model.
        keys: Keys of an override table, or of `Where.layers` and `Where.skip`.

    Returns:
        The keys without a layer, as text, in the given order.

    Example:
        >>> unmatched([keras.layers.Dense(3)], ["Dense", "haed"])
        ['haed']
    """
    layers = list(layers)
    texts = [_keys("keys", key)[0] for key in keys]
    return [key for key in texts if not any(matches(layer, key) for layer in layers)]


def _by_name(layer: keras.layers.Layer, key: str) -> bool:
    return re.fullmatch(key, layer.name) is not None


def _by_type(layer: keras.layers.Layer, key: str) -> int | None:
    """Returns the distance of the layer's class to the base class that the key names; None if there is no such base."""
    names = [base.__name__ for base in type(layer).__mro__]
    return names.index(key) if key in names else None


def _keys(field: str, value: Key | Iterable[Key]) -> tuple[str, ...]:
    """Checks keys, and returns them as text, classes by their name."""
    if isinstance(value, (str, type)):
        value = (value,)
    given = checks.held(value)
    if given is None:
        checks.refuse(TypeError, "Where", field, "text, a class or a list", value)
    texts = []
    for key in given:
        if not isinstance(key, (str, type)):
            raise TypeError(
                f"Where: {field} must hold text or layer classes. Received: {shown(key)} of type {type(key).__name__}."
            )
        text = checks.text("Where", field, key if isinstance(key, str) else key.__name__)
        try:
            _compiles(text)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(
                f"Where: {field} must hold valid regular expressions. Received: {shown(text)} ({error})."
            ) from error
        texts.append(text)
    return tuple(texts)


@functools.lru_cache(4096)
def _compiles(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about sets that a later Python may read differently
        re.compile(text)


def _size(layer: keras.layers.Layer, path: str) -> int:
    """Returns the number of elements of the weight whose path ends in `path`; of several, that of the shortest."""
    ends = [v for v in layer.weights if f"/{v.path}".endswith(f"/{path}")]
    if not ends:
        known = [v.path for v in layer.weights]
        raise ValueError(
            f"Where: min_size needs the size of weight {path!r} of layer {layer.name!r}. Received "
            f"a layer with weights {known}. Build the layer first, or pass size."
        )
    return math.prod(min(ends, key=lambda v: len(v.path)).shape)
