"""Finds what an output holds, from the file and the model's loss: scores of classes, a probability, or values.

An argmax is meaningful only where the last axis holds the scores of classes: behind a softmax, under a cross-entropy,
or, where nothing else is known, in the rows of a last Dense layer.
"""

from tfcompress.tflite.artifact import Artifact
from tfcompress.tflite.fidelity import CLASSES, PROBABILITIES, THRESHOLD, VALUES
from tfcompress.tflite.tensor_spec import TensorSpec

_MOVES = ("DEQUANTIZE", "QUANTIZE", "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "CAST")
_SCORES = ("SOFTMAX", "LOG_SOFTMAX")
_REGRESSIONS = (
    "mean_squared", "mse", "mean_absolute", "mae", "huber", "logcosh", "log_cosh", "mape", "msle", "poisson", "cosine",
    "binary_crossentropy", "hinge", "dice", "tversky",
)  # fmt: skip


def kind_of(artifact: Artifact, spec: TensorSpec, loss: str = "") -> str:
    """Returns the kind of an output: classes, probabilities, a threshold or values.

    Args:
        artifact: The file.
        spec: The output.
        loss: Name of the loss the model was compiled with for it; empty if unknown.

    Returns:
        One of the constants of `tflite/fidelity.py`.
    """
    width = spec.shape[-1] if len(spec.shape) > 1 else 1
    maker = _maker(artifact, spec)
    if maker in _SCORES and width > 1:
        return PROBABILITIES
    if "categorical" in loss and width > 1:
        return CLASSES
    # one probability a sample, or a map of them under a cross-entropy; a picture ends in a sigmoid as well
    if maker == "LOGISTIC" and width == 1 and (len(spec.shape) <= 2 or "crossentropy" in loss):
        return THRESHOLD
    # a vector of scores as a Dense layer leaves it, unless the loss is of something else
    is_regression = any(word in loss for word in _REGRESSIONS)
    if maker == "FULLY_CONNECTED" and len(spec.shape) == 2 and width > 1 and not is_regression:
        return CLASSES
    return VALUES


def losses(model, names: list[str]) -> dict[str, str]:
    """Returns the names of the losses a model was compiled with, in lower case, by the name of the output.

    Args:
        model: A Keras model; others have none.
        names: Names of the outputs, in the model's order.
    """
    given = getattr(model, "loss", None)
    if given is None:
        return {}
    if isinstance(given, dict):
        return {n: _name(given[n]) for n in names if n in given}
    if not isinstance(given, list | tuple):
        given = [given] * len(names)
    return {n: _name(loss) for n, loss in zip(names, given, strict=False)}


def _name(loss: object) -> str:
    if loss is None:
        return ""
    found = loss if isinstance(loss, str) else getattr(loss, "name", None) or getattr(loss, "__name__", "")
    return str(found).lower() or type(loss).__name__.lower()


def _maker(artifact: Artifact, spec: TensorSpec) -> str:
    """Returns the operation that computes an output, past those that only move or convert its values."""
    graph = artifact.model.graphs[0]
    makers = {t: op for op in graph.ops for t in op.outputs}
    at = spec.index
    for _ in graph.ops:
        op = makers.get(at)
        if op is None:
            return ""
        if op.name not in _MOVES or not op.inputs:
            return op.name
        at = op.inputs[0]
    return ""
