"""Scores of predictions: classes, accuracy, macro F1, agreement, and gaps between outputs."""

import numpy as np


def classes(outputs: np.ndarray, threshold: float = 0.5) -> np.ndarray:
    """Returns the class numbers of a model's outputs.

    Args:
        outputs: Shape (n, ..., k): k > 1 scores, of which the largest wins (the first of equal
            ones); or k = 1, one score of class 1.
        threshold: Where a single score becomes class 1; 0.5 for probabilities, 0 for logits.

    Returns:
        int64 array of shape (n, ...).

    Raises:
        ValueError: If `outputs` has no axis of scores.

    Example:
        >>> classes(np.array([[0.1, 0.9], [0.8, 0.2]]))
        array([1, 0])
    """
    if outputs.ndim < 2:
        raise ValueError(f"classes: outputs must have shape (n, ..., k). Received: shape {outputs.shape}.")
    if outputs.shape[-1] == 1:
        return (outputs[..., 0] > threshold).astype(np.int64)
    return outputs.argmax(axis=-1)


def labels(y: np.ndarray, outputs: np.ndarray) -> np.ndarray | None:
    """Returns the class numbers of targets, or None for the targets of a regression.

    Args:
        y: Class numbers (n, ...) or (n, ..., 1), or one-hot rows in the shape of `outputs`.
        outputs: The model's outputs, shape (n, ..., k).

    Returns:
        int64 array in the shape of `classes(outputs)`; None for targets that are not whole numbers.

    Raises:
        ValueError: If the shape fits neither form.

    Example:
        >>> labels(np.array([2, 0]), np.zeros((2, 3)))
        array([2, 0])
    """
    wanted = outputs.shape[:-1]
    if outputs.shape[-1] > 1 and y.shape == outputs.shape:
        one_hot = ((y == 0) | (y == 1)).all() and (y.sum(axis=-1) == 1).all()
        return y.argmax(axis=-1) if one_hot else None
    if y.shape not in (wanted, (*wanted, 1)):
        raise ValueError(
            f"y must have shape {wanted} (class numbers) or {outputs.shape} (one-hot rows, or "
            f"values to be met). Received: shape {y.shape}."
        )
    if not np.array_equal(y, np.rint(y)):
        return None
    return y.reshape(wanted).astype(np.int64)


def accuracy(true: np.ndarray, predicted: np.ndarray) -> float:
    """Returns the fraction of equal class numbers, 0..1; also the agreement of two models.

    Args:
        true: Class numbers, any shape, at least one.
        predicted: Class numbers of the same shape.

    Returns:
        Fraction of positions with the same class.

    Example:
        >>> accuracy(np.array([0, 1, 2, 2]), np.array([0, 1, 2, 0]))
        0.75
    """
    return float(np.mean(true == predicted))


def macro_f1(true: np.ndarray, predicted: np.ndarray) -> float:
    """Returns the F1 of each class that occurs in either array, averaged with equal weight.

    `F1 = 2 tp / (2 tp + fp + fn)`.

    Args:
        true: Class numbers, any shape, at least one.
        predicted: Class numbers of the same shape.

    Returns:
        Mean F1, 0..1.

    Example:
        >>> macro_f1(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0]))
        0.7333333333333334
    """
    scores = []
    for label in np.union1d(true, predicted):
        hits = np.count_nonzero((true == label) & (predicted == label))
        either = np.count_nonzero(true == label) + np.count_nonzero(predicted == label)
        scores.append(2 * hits / either)
    return float(np.mean(scores))


def mean_gap(a: np.ndarray, b: np.ndarray) -> float:
    """Returns the mean absolute difference of two arrays of the same shape.

    Args:
        a: Values.
        b: Values of the same shape.

    Returns:
        The mean of `|a - b|`, in the unit of the values.

    Example:
        >>> mean_gap(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
        1.0
    """
    return float(np.mean(np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64))))
