"""Computes probabilities, ranks and confidence from the scores of a classifier, as the app does."""

import numpy as np


def softmax(logits: np.ndarray) -> np.ndarray:
    """Returns the probabilities of scores: `exp(x - max) / sum`, in float64.

    Args:
        logits: Shape (..., k).

    Returns:
        float64 of the same shape; the last axis sums to 1.

    Raises:
        ValueError: If a score is not finite or there is none.

    Example:
        >>> softmax(np.array([0.0, 0.0])).tolist()
        [0.5, 0.5]
    """
    logits = np.asarray(logits, np.float64)
    if not logits.size or not np.isfinite(logits).all():
        raise ValueError("softmax: needs at least one score, and finite ones.")
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def top_k(scores: np.ndarray, k: int) -> list[int]:
    """Returns the indices of the largest scores, the largest first; of equal ones the lower index first.

    Args:
        scores: Shape (n,).
        k: How many, 1 to n.

    Returns:
        The indices.

    Raises:
        ValueError: If `k` is out of range or a score is no number.

    Example:
        >>> top_k(np.array([0.1, 0.7, 0.1, 0.1]), 3)
        [1, 0, 2]
    """
    scores = np.asarray(scores, np.float64)
    if scores.ndim != 1 or np.isnan(scores).any():
        raise ValueError("top_k: scores must be numbers of shape (n,).")
    if not 1 <= k <= len(scores):
        raise ValueError(f"top_k: k must be from 1 to {len(scores)}. Received: {k}.")
    return np.argsort(-scores, kind="stable")[:k].tolist()


def confidences(outputs: np.ndarray, semantic: str) -> np.ndarray:
    """Returns the confidence of a classifier: its largest probability for each sample.

    Args:
        outputs: Shape (n, k).
        semantic: "logits", or "probabilities" for outputs of a softmax.

    Returns:
        float64 (n,) in 0..1.

    Raises:
        ValueError: If `semantic` is neither.

    Example:
        >>> confidences(np.array([[0.0, 0.0], [0.0, 100.0]]), "logits").tolist()
        [0.5, 1.0]
    """
    if semantic not in ("logits", "probabilities"):
        raise ValueError(f"confidences: semantic must be 'logits' or 'probabilities'. Received: {semantic!r}.")
    if semantic == "logits":
        return softmax(outputs).max(axis=-1)
    # the highest code of an integer file may be a little above 1
    return np.clip(np.asarray(outputs, np.float64).max(axis=-1), 0.0, 1.0)
