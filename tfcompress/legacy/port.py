"""Ports models of Keras 2 to Keras 3 with the same outputs: live tf_keras models, `.h5` and `.keras` files.

Either the port equals the original, or the model is refused with the layer's name.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from tfcompress.legacy.guard import DAMAGE, check_file
from tfcompress.legacy.network.network import network
from tfcompress.legacy.ported import Ported
from tfcompress.legacy.proof import prove
from tfcompress.legacy.refused import NotPorted
from tfcompress.legacy.training import compile_as_before
from tfcompress.legacy.values import PortOptions
from tfcompress.legacy.weights import archive, hdf5, placing


def is_old(source: Any) -> bool:
    """Returns whether something is a model of Keras 2: a live tf_keras model, or the path of a file before Keras 3.

    tf_keras is not imported to find out.

    Args:
        source: Anything.

    Example:
        >>> from tfcompress.legacy.port import is_old
        >>> is_old("no such file.h5")
        False
    """
    if isinstance(source, str | os.PathLike):
        return hdf5.is_old(source) or archive.is_old(source)
    tf_keras = sys.modules.get("tf_keras")
    return tf_keras is not None and isinstance(source, tf_keras.Model)


def port(
    source: Any, custom_objects: dict[str, Any] | None = None, safe_mode: bool = True, seed: int = 0
) -> keras.Model:
    """Ports a model of Keras 2.

    A live model and its port are run on the same random input and must agree to 1e-6 of the largest output (more,
    up to 1e-4, only if each layer by itself agrees to 1e-6). From a file, every stored weight must fit a weight of the
    model by count, shape and name. A model with something that has no equivalent in Keras 3 is refused.

    Args:
        source: A live Functional or Sequential model of tf_keras, a `.h5` file of Keras 2.0 to 2.15, or a `.keras`
            file of Keras 2.12 to 2.15 or tf_keras.
        custom_objects: Your own classes and functions by name, written for Keras 3.
        safe_mode: False allows Lambda layers, that is, code from the file.
        seed: Seed of the random input.

    Returns:
        The model, with the same names (`_` in place of `/`). Compiled if the original was and Keras 3 has the same
        optimizer, loss and metrics, otherwise a warning says why not; the optimizer starts without state.

    Raises:
        NotPorted: A ValueError that names the layer, the reason, and what to do.
        ValueError: If a file refers to other files, claims more data than it can hold, or is damaged.
        TypeError: If `source` is no model of Keras 2.

    Example:
    ```python
    import tf_keras
    from tfcompress.legacy.port import port

    old = tf_keras.Sequential([tf_keras.Input((4,)), tf_keras.layers.Dense(2)])
    model = port(old)  # or port("model.h5")
    ```
    """
    if isinstance(source, str | os.PathLike):
        check_file(source)
    asked = PortOptions(dict(custom_objects or {}), safe_mode)
    if not is_old(source):
        raise TypeError(
            "port: a live tf_keras model or a file that Keras 2 wrote is accepted. Received: "
            f"{source if isinstance(source, str | os.PathLike) else type(source)}. "
            "Models of Keras 3 need no port: load_model takes them."
        )
    if not isinstance(source, str | os.PathLike):
        ported, training = _live(source, asked, seed)
    elif hdf5.is_old(source):
        config, weights, training = hdf5.read(source)
        ported = _network(config, asked)
        placing.place(ported, weights)
    else:
        config = archive.read(source)
        ported, training = _network(config, asked), config.get("compile_config")
        archive.place(ported, source)
    try:
        compile_as_before(ported.layer, training, asked.custom_objects)
    except DAMAGE as error:
        warnings.warn(
            f"load_model: the training configuration does not load ({_line(error)}); the model is not compiled. "
            "Call model.compile(...) before training it.",
            stacklevel=2,
        )
    return ported.layer


def _live(model: Any, asked: PortOptions, seed: int) -> tuple[Ported, dict[str, Any] | None]:
    try:
        config = {"class_name": type(model).__name__, "config": model.get_config()}
    except NotImplementedError as error:
        raise NotPorted(
            "", f"the model {model.name!r}", "a subclassed model is code, which no configuration contains."
        ) from error
    functions = dict(_functions(model, ""))
    ported = _network(config, PortOptions(asked.custom_objects, asked.safe_mode, functions))
    weights = {layer.name: _weights(layer) for layer in model.layers}
    placing.place(ported, weights)
    prove(model, ported, seed)
    return ported, model.get_compile_config() if model.optimizer is not None else None


def _network(config: dict[str, Any], asked: PortOptions) -> Ported:
    try:
        return network(config, asked)
    except NotPorted:
        raise
    except DAMAGE as error:
        reason = f"its configuration can't be read ({type(error).__name__}: {_line(error)})."
        raise NotPorted("", "the model", reason) from error


def _weights(layer):
    return [(w.name, np.asarray(w)) for w in (*layer.trainable_weights, *layer.non_trainable_weights)]


def _functions(model: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for layer in model.layers:
        inner = getattr(layer, "layer", layer)  # a wrapper's
        path = f"{prefix}{layer.name}" if inner is layer else f"{prefix}{layer.name}/{inner.name}"
        if hasattr(inner, "layers"):
            yield from _functions(inner, f"{path}/")
        elif type(inner).__name__ == "Lambda":
            yield path, inner.function


def _line(error):
    return (str(error).splitlines() or [type(error).__name__])[0]
