"""Checks that calibration pictures are scaled as in training, not 0..255 for a model of 0..1 or the reverse.

The model itself shows it: a BatchNormalization keeps the mean and variance it was trained on, a Rescaling or
Normalization in front says what it expects, and the scores of a classifier do not reach the hundreds on data it knows.
"""

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from tfcompress.calibration.image_folder import evenly
from tfcompress.graph.keras_private import float32, full_precision, input_specs, override_attributes
from tfcompress.graph.trace import Trace, trace
from tfcompress.layer_table.lookup import FOLD, spec_of
from tfcompress.system.silence import quiet
from tfcompress.tflite.fidelity import CLASSES, PROBABILITIES

SAMPLES = 32
_FAR = np.log(8.0)  # deviation of activations against those of the training, as a logarithm
_NEARER = np.log(4.0)  # by how much another scale must fit better
_LOUD = 60.0  # deviation of scores that no classifier reaches on data like those of its training
_RAW = {
    "0..255": "scale=1 / 255 or scale=1 / 127.5, offset=-1, as in the training (scale=1 if it was trained on 0..255)",
    "-32768..32767": "scale=1 / 32768 if it was trained on -1..1 (scale=1 if on whole numbers)",
}
_WIDE = 60.0  # span of values behind a Rescaling above which pictures were not scaled at all
_FEW = 64  # values of a sample, below which they are measurements and no picture or sound
_SOUND = 32768.0
_QUIET = 0.02  # span of values behind a Rescaling below which pictures were scaled twice

Scaling = tuple[float, float]
_TO: dict[str, dict[str, Scaling]] = {
    "0..255": {"scale=1 / 255": (1 / 255, 0.0), "scale=1 / 127.5, offset=-1": (1 / 127.5, -1.0)},
    "0..1": {"scale=255": (255.0, 0.0), "scale=2, offset=-1": (2.0, -1.0)},
    "-32768..32767": {"scale=1 / 32768": (1 / 32768, 0.0)},
    "-1..1": {"scale=127.5, offset=127.5": (127.5, 127.5), "scale=0.5, offset=0.5": (0.5, 0.5)},
}


def scaling_doubt(
    model: keras.Model | None,
    inputs: Mapping[str, np.ndarray],
    answers: np.ndarray | None,
    kind_of_answers: str,
    is_told: bool = False,
) -> str:
    """Returns a warning if calibration pictures or sounds seem to be scaled otherwise than in training.

    Args:
        model: The model as it was given; None where its layers are not known.
        inputs: Calibration samples by input name, `(samples, ...)`.
        answers: The model's first output on them.
        kind_of_answers: Its kind, a constant of `tflite/fidelity.py`.
        is_told: Whether the user gave a scale, so that the model need not show it.

    Returns:
        One sentence with a way out; empty where the scale is plausible.
    """
    if len(inputs) != 1:
        return ""
    ((name, x),) = inputs.items()
    kind = _kind(x)
    if not kind:
        return ""
    x = x[evenly(len(x), SAMPLES)]
    graph = trace(model, opens=True) if model is not None else None
    for look in (_by_norm, _by_front) if graph is not None else ():
        found = look(model, graph, x, kind)
        if found is not None:
            return _said(name, kind, *found) if found else ""
    # the inside of a SavedModel is unknown, so only its scores can be judged
    is_raw = model is not None and _is_whole(x)
    return "" if is_told else _unproven(name, kind, is_raw, _loudness(answers, kind_of_answers))


def _kind(x: np.ndarray) -> str:
    """Returns the convention of the values: that of pixels or of 16-bit sound; empty for other data."""
    if x.dtype.kind != "f" or x.ndim < 2 or x[0].size < _FEW:
        return ""
    low, high = float(x.min()), float(x.max())
    is_picture = x.ndim == 4 and x.shape[-1] in (1, 3, 4)
    if low <= -_SOUND / 8 and high >= _SOUND / 8 and max(-low, high) <= _SOUND and _is_whole(x):
        return "-32768..32767"
    if is_picture and -1.0 <= low < 0.0 and high <= 1.0:
        return "-1..1"
    if low < 0.0:
        return ""
    if is_picture and 0.5 < high <= 1.0:
        return "0..1"
    return "0..255" if 64.0 < high <= 255.0 and (is_picture or _is_whole(x)) else ""


def _is_whole(x: np.ndarray) -> bool:
    return bool(np.array_equal(x, np.rint(x)))


def _said(name: str, kind: str, why: str, remedy: str) -> str:
    return f"calibration: input {name!r} holds values of {kind}, but {why}. Pass {remedy} to convert."


def _by_norm(model, graph: Trace, x, kind):
    """Compares the input of the first BatchNormalization with the variance that it was trained on."""
    layers = (c.op for c in graph.calls if isinstance(c.op, keras.layers.Layer))
    norm = next((layer for layer in layers if spec_of(layer).grid == FOLD), None)
    if norm is None or norm.axis not in (-1, norm.input_spec.ndim - 1):
        return None
    now = _distance(model, norm, x)
    if now < _FAR:
        return ()
    others = {how: _distance(model, norm, x * scale + offset) for how, (scale, offset) in _TO[kind].items()}
    best = min(others, key=others.get)
    if others[best] > now - _NEARER:
        return None
    return f"the BatchNormalization {norm.name!r} was trained on activations of another size", best


def _distance(model, norm, x) -> float:
    """Returns how far the deviations of a normalization's input are from its moving variance, as a mean logarithm."""
    found = []

    def recorded(inputs, *args, **kwargs):
        found.append(tf.math.reduce_variance(tf.cast(inputs, tf.float32), axis=list(range(inputs.shape.rank - 1))))
        raise StopIteration  # what comes behind is of no interest

    given = keras.tree.pack_sequence_as(input_specs(model), [tf.convert_to_tensor(x, tf.float32)])
    with quiet(), float32(model), override_attributes([(norm, "call", recorded)]):
        try:
            model(given, training=False)
        except Exception:  # Keras makes an error of another type of it
            if not found:
                raise
    observed = np.asarray(found[0], np.float64)
    moving = np.asarray(full_precision(norm.moving_variance), np.float64) + norm.epsilon
    return float(np.mean(np.abs(0.5 * np.log((observed + norm.epsilon) / moving))))


def _by_front(model, graph: Trace, x, kind):
    """Judges the input by the output of a Rescaling or Normalization that reads it."""
    front = next((call.op for call in graph.graph.readers(graph.inputs[0])), None)
    if spec_of(front).scale_and_shift is None:
        return None
    try:
        y = np.asarray(front(x[:SAMPLES]), np.float64)
    except (TypeError, ValueError):
        return None
    for how, (scale, offset) in _TO[kind].items():
        other = np.asarray(front((x * scale + offset).astype("float32")), np.float64)
        if np.ptp(y) < _QUIET < 0.25 < np.ptp(other) < 20.0 or np.ptp(y) > _WIDE and 0.25 < np.ptp(other) < 20.0:
            return f"its layer {front.name!r} scales the input by itself", how
    return ()


def _unproven(name: str, kind: str, is_raw: bool, loud: float) -> str:
    """Returns the warning for raw pixels or sound, if nothing in the model shows that it was trained on them."""
    if kind not in _RAW or not is_raw and loud < _LOUD:
        return ""
    why = "nothing in the model shows that it was trained on them (no Rescaling, Normalization or BatchNormalization)"
    if loud >= _LOUD:
        why += f", and its scores spread by {loud:.0f}, which a trained classifier's do not"
    return _said(name, kind, why, _RAW[kind])


def _loudness(answers, kind_of_answers) -> float:
    """Returns the deviation of a classifier's scores; behind a softmax, that of their logarithm."""
    if answers is None or kind_of_answers not in (CLASSES, PROBABILITIES):
        return 0.0
    scores = np.asarray(answers, np.float64)
    if kind_of_answers == PROBABILITIES:
        scores = 2.4 * np.log(np.maximum(scores, 1e-45))
    return float(scores.std(axis=0).mean())
