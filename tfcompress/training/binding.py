"""Finds the model to compress when `fit` trains one: that model itself, or a network that it holds.

A GAN, a contrastive learner, a diffusion model or a distiller is a `keras.Model` with a `train_step` and networks as
attributes, often without a `call`. `Compression.set_model(network)` before `fit` says which of them is meant.
"""

import keras

from tfcompress.graph.keras_private import layers_inside
from tfcompress.graph.tree import is_built


def find_network(trained: keras.Model, asked: keras.Model | None) -> keras.Model:
    """Returns the model to compress.

    Args:
        trained: The model that `fit` trains.
        asked: The model that the user named with `set_model`; None if none was.

    Raises:
        ValueError: If `trained` has no `call` of its own and no network in it was named, or the one named is not
            built.
    """
    inside = layers_inside(trained)
    if asked is not None and asked is not trained and (not inside or any(layer is asked for layer in inside)):
        if not is_built(asked):
            raise ValueError(
                f"Compression: the network {asked.name!r} inside {trained.name!r} is not built, so its weights are "
                "unknown. Give it an Input, or call it once on a batch of data before fit."
            )
        return asked
    if not _has_call(trained):
        raise ValueError(_without_call(trained, inside))
    return trained


def share_layers(one: keras.Model, two: keras.Model) -> bool:
    """Returns whether two models share layers."""
    mine = {id(layer) for layer in [one, *layers_inside(one)]}
    return any(id(layer) in mine for layer in [two, *layers_inside(two)])


def _has_call(model) -> bool:
    return type(model).call not in (keras.Model.call, keras.layers.Layer.call)


def _without_call(trained, inside) -> str:
    names = [name for name, value in vars(trained).items() if isinstance(value, keras.Model)]
    shown = f"self.{names[0]}" if names else "its network"
    found = ", ".join(repr(layer.name) for layer in inside if isinstance(layer, keras.Model)) or "none"
    return (
        f"Compression: model {trained.name!r} ({type(trained).__name__}) has no call() of its own, so it is not known "
        f"which of the networks in it is to be compressed (found: {found}). Name it before fit: "
        f"compression.set_model({shown.replace('self', 'trainer')}); for several networks take one Compression each."
    )
