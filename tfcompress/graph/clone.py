"""Copies a model to a flat one: new layers with the same weights, nested models opened, some layers replaced."""

import inspect
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfcompress.graph.keras_private import full_precision, layers_inside, twin
from tfcompress.graph.plain_layers import is_special, plain_layer
from tfcompress.graph.rebuild import rebuild
from tfcompress.layer_table.lookup import describe_object, is_of_keras, row_of_object, spec_of


@dataclass(frozen=True)
class New:
    """A layer that replaces an operation in the copy of a model.

    Args:
        layer: The layer, not built, or an operation without state.
        weights: Values of `layer.variables` in their order; None keeps the initial values.
        trainable: Whether the layer trains.
        inside: Whether each of the layers inside of it trains; empty where these are as the layer.
    """

    layer: Any
    weights: list[np.ndarray] | None = None
    trainable: bool = True
    inside: tuple[bool, ...] = ()


def flat_name(path: str) -> str:
    """Converts a path in a nested model to a layer name in a flat model."""
    return path.replace("/", "_").replace(":", "_")


def config_of(op) -> dict:
    """Returns the constructor arguments for a copy of an operation, with a user's functions as objects.

    Keras writes only the name of a function, and finds only registered ones again, or another one of the same name
    (`keras.ops.gelu` is not `keras.activations.gelu`).
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras warns that a lambda can't be serialized; here it need not be
        config = op.get_config()
    live = {name: getattr(op, name, None) for name in config}
    return config | {
        name: value for name, value in live.items() if _is_lost(config[name], value) or _is_yours(op, value)
    }


def operation_of(op, config: dict):
    """Makes an operation of the type of another one from the arguments of its constructor and `name`.

    The constructors of Keras' own nodes of `keras.ops` take no name in most versions.
    """
    if isinstance(op, keras.layers.Layer):
        return type(op).from_config(config)
    made = type(op).from_config({key: value for key, value in config.items() if key != "name"})
    made.name = config["name"]
    return made


def _is_lost(written: Any, value: Any) -> bool:
    """Whether a function is not the one that Keras finds under what it wrote of it."""
    if not inspect.isfunction(value):
        return False
    try:
        return keras.activations.get(written) is not value
    except (ValueError, TypeError):
        return True


def _is_yours(op, value) -> bool:
    """Whether a value is a regularizer, constraint or initializer of one's own, which only a registered class names."""
    kinds = (keras.regularizers.Regularizer, keras.constraints.Constraint, keras.initializers.Initializer)
    return is_of_keras(op) and isinstance(value, kinds) and not is_of_keras(value)


def copy_with_changes(
    model: keras.Model, change: Callable[[str, Any], list[New] | None]
) -> tuple[keras.Model, dict[int, tuple]]:
    """Copies a Functional or Sequential model and replaces some of its layers.

    Layers of nested models get names with the model's name in front. Seed generators are copied as
    well, so copy and model drop the same units in the same step.

    Args:
        model: A built model; it is not changed.
        change: Function `(path, operation)`: None copies the operation, `[]` removes it, `[New(...), ...]` replaces
            it by layers, one after the other. Called once for an operation that is shared.

    Returns:
        The copy, and by `id(operation)` the operations in its place (those without state are the same objects).

    Raises:
        ValueError: If the model is subclassed, so that it has no graph to rebuild, or a new layer's weights do not fit.

    Example:
        >>> import keras
        >>> from tfcompress.graph.clone import copy_with_changes
        >>> layers = [keras.layers.Dense(3), keras.layers.Dropout(0.5), keras.layers.Dense(2)]
        >>> model = keras.Sequential([keras.Input((4,)), *layers])
        >>> flat, _ = copy_with_changes(model, lambda path, op: [] if "dropout" in path else None)
        >>> [type(layer).__name__ for layer in flat.layers]
        ['InputLayer', 'Dense', 'Dense']
    """
    made: dict[int, tuple[Any, list[New] | None, tuple]] = {}
    kept: set[int] = set()

    def replace(path, op):
        changed = made[id(op)][1] if id(op) in made else change(path, op)
        copy = twin(op, flat_name(path)) if id(op) in kept else None
        layers = (copy or _copy(path, op),) if changed is None else tuple(new.layer for new in changed)
        made[id(op)] = (op, changed, layers)
        return lambda *args, **kwargs: _chain(layers, args, kwargs)

    flat = rebuild(model, replace)
    strange = {key for key, (op, changed, layers) in made.items() if changed is None and not _fits(layers[0], op)}
    if strange:  # their configuration builds other layers, so they are kept
        kept |= strange
        flat = rebuild(model, replace)
    for op, changed, layers in made.values():
        if changed is None:
            _take_over(layers[0], op)
        for new in changed or ():
            _set(new)
    return flat, {key: layers for key, (_, _, layers) in made.items()}


def copied(model: keras.Model) -> tuple[keras.Model, dict[int, Any]]:
    """Copies a Functional or Sequential model without replacing layers.

    LoRA adapters are added to their weights, and weights that Keras quantized become float again.

    Args:
        model: A built model; it is not changed.

    Returns:
        The copy, and the copied operation by `id(operation)` (operations without state are the same objects).

    Raises:
        ValueError: If the model is subclassed, so that it has no graph to rebuild.
    """
    flat, made = copy_with_changes(model, _plain)
    return flat, {key: layers[0] for key, layers in made.items()}


def _plain(path, op) -> list[New] | None:
    if not is_special(op):
        return None
    layer, weights = plain_layer(op, {**config_of(op), "name": flat_name(path)})
    return [New(layer, weights, op.trainable)]


class Copies:
    """Copies of layers, each made once, which get the weights at the end.

    A layer that its own configuration does not rebuild is kept as the same object.

    Args:
        kept: Ids of layers that share their weights with their copies.
    """

    def __init__(self, kept: set[int] | None = None):
        self.kept = kept or set()
        self._made: dict[int, tuple[Any, Any, list[New] | None]] = {}

    def of(self, path: str, op: Any) -> Any:
        """Returns the copy of a layer or operation.

        Args:
            path: Path of the layer in the model.
            op: The layer or operation; one without state is its own copy.
        """
        if id(op) not in self._made:
            changed = _plain(path, op)
            copy = (
                twin(op, flat_name(path))
                if id(op) in self.kept
                else _copy(path, op)
                if changed is None
                else changed[0].layer
            )
            self._made[id(op)] = (op, copy, changed)
        return self._made[id(op)][1]

    def set_weights(self) -> set[int]:
        """Gives the copies that were called the weights of the layers; returns the ids of layers that they don't fit.

        Such a layer's configuration builds another one.
        """
        strange = set()
        for key, (op, copy, changed) in self._made.items():
            if changed is not None:
                _set(changed[0])
            elif getattr(copy, "built", True):
                if _fits(copy, op):
                    _take_over(copy, op)
                else:
                    strange.add(key)
        return strange


def _chain(layers, args, kwargs):
    if not layers:
        return args[0]
    x = layers[0](*args, **kwargs)
    for layer in layers[1:]:
        x = layer(x)
    return x


def _copy(path, op):
    # a Lambda or an operation holds code, which no configuration can copy, and no state; a vocabulary is no weight
    if not isinstance(op, keras.layers.Layer) or spec_of(op).holds_code or spec_of(op).outside is not None:
        return op
    try:
        made = _rebuilt(op, flat_name(path))
    except Exception:  # whatever the layer's own code raises; the layer need not change
        made = op if flat_name(path) == op.name else twin(op, flat_name(path))
    if (row := row_of_object(op)) is not None:
        describe_object(made, row)
    return made


def _rebuilt(op, name: str) -> keras.layers.Layer:
    """Builds a layer anew from its configuration, of which its constructor gets the arguments that it takes."""
    if spec_of(op).is_identity and is_of_keras(op) and not op.variables and not _has_config(op):
        return type(op)(name=name, dtype=op.dtype_policy)
    config = {**config_of(op), "name": name}
    taken = inspect.signature(type(op).__init__).parameters
    if "from_config" in vars(type(op)) or any(p.kind is p.VAR_KEYWORD for p in taken.values()):
        return type(op).from_config(config)
    made = type(op).from_config({key: value for key, value in config.items() if key in taken})
    made.name = name
    if made.dtype_policy.name != op.dtype_policy.name:
        raise ValueError(f"Layer {op.name!r} has another dtype than its configuration gives.")
    return made


def _has_config(op) -> bool:
    try:
        op.get_config()
    except NotImplementedError:  # Identity, when its dtype was given as an object
        return False
    return True


def _take_over(copy, op) -> None:
    if copy is op or _shares(copy, op):
        return
    for mine, theirs in zip(copy.variables, op.variables, strict=True):
        mine.assign(full_precision(theirs))
    copy.trainable = op.trainable
    for mine, theirs in zip(layers_inside(copy), layers_inside(op), strict=True):
        mine.trainable = theirs.trainable


def _shares(copy, op) -> bool:
    """Whether a copy is a twin, which has the same weights."""
    mine, theirs = getattr(copy, "variables", []), getattr(op, "variables", [])
    return len(mine) == len(theirs) and all(a is b for a, b in zip(mine, theirs, strict=True))


def _fits(copy, op) -> bool:
    mine, theirs = getattr(copy, "variables", []), getattr(op, "variables", [])
    return [tuple(v.shape) for v in mine] == [tuple(v.shape) for v in theirs]


def _set(new: New) -> None:
    if new.weights is not None:
        variables = getattr(new.layer, "variables", [])
        mine, given = [tuple(v.shape) for v in variables], [np.shape(w) for w in new.weights]
        if mine != given:
            raise ValueError(
                f"Layer {new.layer.name!r} has variables of the shapes {mine}. Received values of the shapes {given}."
            )
        for variable, value in zip(variables, new.weights, strict=True):
            variable.assign(value)
    if isinstance(new.layer, keras.layers.Layer):
        new.layer.trainable = new.trainable
        for layer, trains in zip(layers_inside(new.layer), new.inside, strict=False):
            layer.trainable = trains
