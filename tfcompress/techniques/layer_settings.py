"""Which layers a surgery treats, and with which setting: `where` and `overrides`, for whole layers."""

from collections.abc import Iterable

from tfcompress.facts.select import resolve, unmatched, where
from tfcompress.techniques.surgery import Surgery


def setting_of(technique: Surgery, layer: object, weight: str = "", size: int = 0) -> object | None:
    """Returns the setting that holds for a layer; None if it is to be left alone.

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


def check_names(technique: Surgery, layers: Iterable[object]) -> None:
    """Makes sure that every key of `where` and `overrides` names a layer.

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
