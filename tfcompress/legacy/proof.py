"""Proves that a port equals its original, by running both on the same random input.

If the outputs differ by more than one part in a million, each layer is run on the inputs that it has in the original:
a layer that differs by itself is refused by name; if none does, rounding has added up.
"""

from __future__ import annotations

import inspect
from typing import Any

import keras
import numpy as np

from tfcompress.legacy.ported import Ported
from tfcompress.legacy.refused import NotPorted

TOLERANCE = 1e-6  # of the largest output, in float32
_ADDED_UP = 1e-4
_UNKNOWN_SIZES = (32, 64, 128, 224)


def prove(original: Any, port: Ported, seed: int = 0) -> float:
    """Compares the outputs of a port with those of the original model.

    Args:
        original: A live model of tf_keras.
        port: Its port.
        seed: Seed of the random input.

    Returns:
        Largest difference of the outputs, as a fraction of the largest output.

    Raises:
        NotPorted: If the outputs differ; the first layer that differs is named.
    """
    x, expected = _run(original, np.random.default_rng(seed))
    found = keras.tree.flatten(port.layer(_structured(port.layer, x), training=False))
    expected = keras.tree.flatten(expected)
    if [tuple(e.shape) for e in expected] != [tuple(f.shape) for f in found]:
        raise NotPorted("", f"the model {port.name!r}", "its outputs have other shapes in Keras 3.")
    difference = max(_difference(f, e) for f, e in zip(found, expected, strict=True))
    half = any(getattr(leaf.layer, "compute_dtype", "") in ("float16", "bfloat16") for leaf in port.leaves())
    if difference <= (1e-2 if half else TOLERANCE):
        return difference
    _first_that_differs(original, port, x)
    if difference <= _ADDED_UP:
        return difference
    raise NotPorted("", f"the model {port.name!r}", f"its outputs differ by {difference:.2g} of the largest.")


def _run(original, rng):
    """Returns random inputs that the model takes, and its outputs; open sizes are tried from small to large."""
    reasons = []
    for size in _UNKNOWN_SIZES:
        x = [_input(original, tensor, size, rng) for tensor in original.inputs]
        try:
            return x, original(_structured(original, x), training=False)
        except Exception as error:  # whatever the model raises on a size that it can't take
            reasons.append(str(error).splitlines()[0] if str(error) else repr(error))
    raise NotPorted("", f"the model {original.name!r}", f"the original does not run on random input: {reasons[-1]}.")


def _structured(model, x):
    # both kinds of models flatten a dict in the order of its sorted names
    given = None if isinstance(model, keras.Sequential) else model.input
    return dict(zip(sorted(given), x, strict=True)) if isinstance(given, dict) else _alone(x)


def _alone(x):
    return x[0] if len(x) == 1 else x


def _input(original, tensor, size, rng):
    shape = (2, *(size if n is None else n for n in tensor.shape[1:]))
    sizes = [layer.input_dim for layer in _layers(original) if type(layer).__name__ == "Embedding"]
    kind = tensor.dtype.as_numpy_dtype
    if sizes or np.issubdtype(kind, np.integer) or kind is np.bool_:
        return rng.integers(0, min(sizes, default=2), shape).astype(kind)
    return rng.normal(size=shape).astype(kind)


def _layers(model):
    for layer in model.layers:
        yield from _layers(layer) if hasattr(layer, "layers") else (getattr(layer, "layer", layer),)


def _first_that_differs(original, port, x):
    """Runs each layer of the port on its inputs in the original, and raises an error for the first that differs."""
    ours = {id(node) for nodes in original._nodes_by_depth.values() for node in nodes}
    parts, calls = [], []
    for part in port.inside:
        call = next((n for n in original.get_layer(part.name)._inbound_nodes if id(n) in ours), None)
        if part.layer is not None and call is not None and _is_plain(call, part.layer):
            parts.append(part)
            calls.append((call.call_args[0], call.outputs))
    for part, (given, made) in zip(parts, _between(original, calls, x), strict=True):
        options = {"training": False} if isinstance(part.layer, keras.Model) else {}
        found = keras.tree.flatten(part.layer(given, **options))
        worst = max(_difference(f, m) for f, m in zip(found, keras.tree.flatten(made), strict=True))
        if worst > TOLERANCE:
            raise NotPorted(part.name, part.class_name, f"its output differs by {worst:.2g} of the largest.")


def _is_plain(call, layer):
    """Returns whether a layer was called with one argument and no mask, so that it can be called again by itself."""
    given = keras.tree.flatten(call.call_args)
    several = isinstance(call.call_args[0], (list, tuple)) and hasattr(call.layer, "return_sequences")  # and states
    further = [value for value in keras.tree.flatten(call.call_kwargs) if hasattr(value, "shape")]
    masked = any(getattr(each, "_keras_mask", None) is not None for each in given)
    return not several and not further and not (masked and "mask" in inspect.signature(layer.call).parameters)


def _between(original, calls, x):
    """Returns inputs and outputs of layers of the original."""
    import tf_keras

    return tf_keras.Model(original.inputs, calls)(_alone(x), training=False) if calls else []


def _difference(found, expected):
    found, expected = (np.asarray(keras.ops.cast(each, "float32"), "float64") for each in (found, expected))
    if not np.array_equal(np.isfinite(found), np.isfinite(expected)):
        return np.inf
    finite = np.isfinite(expected)
    largest = np.abs(expected[finite]).max(initial=0.0)
    return float(np.abs(found - expected)[finite].max(initial=0.0) / (largest or 1.0))
