"""GraphTechnique: the base class of techniques that change the graph or shapes of a network once.

A layer that such a technique can't change stays as it was and is named in a row with the reason.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import keras

from tfcompress.calibration.evidence import evidence
from tfcompress.export.finite import check_weights
from tfcompress.graph.custom_code import check_no_borrowed
from tfcompress.selection import resolve, unmatched, where
from tfcompress.techniques.base import Technique
from tfcompress.techniques.protocol.hook_values import Change, Left, Operated
from tfcompress.techniques.protocol.own_layers import flat_copy
from tfcompress.validation import checks


@dataclass(frozen=True)
class GraphTechnique(Technique):
    """Base class of techniques that change the graph or shapes; use them in `tfc.compress` or by their `apply`.

    One of your own overrides `operate`, which gets a flat model and returns `self.result(new_model, ...)`.

    Args:
        where: Which layers: None for all, or what `tfc.Where` accepts.
        overrides: `{key: value}` by layer name pattern or layer type; None leaves a layer alone.

    Example:
        >>> import keras, tfcompress as tfc
        >>> from dataclasses import dataclass
        >>> @keras.saving.register_keras_serializable("mine")
        ... @dataclass(frozen=True)
        ... class Copy(tfc.GraphTechnique):
        ...     def operate(self, model, evidence):
        ...         return self.result(keras.models.clone_model(model), {model.layers[-1].name: "copied"})
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> Copy().apply(model) is model
        False
    """

    hooks_are_shown = True
    for_users = ("apply",)

    shape_changing = True
    is_gradual = False

    @staticmethod
    def result(
        model: keras.Model, changed: Mapping[str, str] | None = None, left: Mapping[str, str] | None = None
    ) -> Operated:
        """Builds the return value of `operate`.

        Args:
            model: The new model.
            changed: Layer name to what was done to it.
            left: Layer name to why it was left as it is.
        """
        rows = [Change(layer, what) for layer, what in (changed or {}).items()]
        return Operated(model, (*rows, *(Left(layer, why) for layer, why in (left or {}).items())))

    def apply(
        self, model: keras.Model, data: Any = None, labels: Any = None, loss: Any = None, seed: int = 0
    ) -> keras.Model:
        """Applies the technique to a model, without training and without a recipe.

        Args:
            model: A built model; it is not changed. Layers of your own in it are replaced by the layers and operations
                that they call, where these can be followed.
            data: Representative samples, for techniques that look at activations or gradients.
            labels: Their labels, for techniques that look at the loss.
            loss: The loss; default: the one the model was compiled with.
            seed: Seed of the random numbers that the technique draws.

        Returns:
            A new model, not compiled.
        """
        check_no_borrowed(model, type(self).__name__)
        check_weights(model, type(self).__name__)
        seed = checks.seed(f"{self.name}.apply", seed)
        plain, _ = flat_copy(model, type(self).__name__)
        return self.operate(plain, evidence(model, data, labels, loss, seed)).model


Surgery = GraphTechnique  # the name of release 0.1


def setting_of(technique: GraphTechnique, layer: Any, weight: str = "", size: int = 0) -> Any | None:
    """Returns the setting for a layer; None if it is to be left alone.

    Args:
        technique: The technique.
        layer: A layer or operation.
        weight: Path of the weight it would change.
        size: Number of elements of that weight.
    """
    if not where(technique.where)(layer, weight, size):
        return None
    value = resolve(layer, technique.default(), technique.overrides)
    return None if value is None else technique.accept(value)


def check_names(technique: GraphTechnique, layers: Iterable[Any]) -> None:
    """Checks that every key of `where` and `overrides` names a layer.

    Raises:
        ValueError: If one does not.
    """
    layers = list(layers)
    chosen = where(technique.where)
    keys = [*(technique.overrides or {}), *chosen.layers, *chosen.skip]
    lost = unmatched(layers, keys)
    if lost:
        names = ", ".join(x.name for x in layers[:8])
        raise ValueError(
            f"{technique.name}: where and overrides must name layers of the model. Received: {lost}, which match none. "
            f"There are {names}{', ...' if len(layers) > 8 else ''}."
        )
