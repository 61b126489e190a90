"""Says in one sentence what a file won and lost against the model it came from."""

from collections.abc import Mapping
from typing import Any

_ALIKE = 0.05  # a ratio of times this near to 1 is none: runs of one file differ as much


def verdict(row: Mapping[str, Any], original: Mapping[str, Any]) -> str:
    """Returns a sentence: how many times smaller, what became of the accuracy, how many times faster here.

    Args:
        row: The row of a file, as in `Comparison.rows`.
        original: The row of the model it came from.

    Example:
        >>> row = {"name": "int8", "bytes": 25, "gzip_bytes": 20, "accuracy": 0.981, "p50_us": 10.0}
        >>> verdict(row, {"name": "original", "bytes": 100, "gzip_bytes": 90, "accuracy": 0.984, "p50_us": 25.0})
        'int8: 4.0 times smaller (4.5 zipped), accuracy 98.10 % (-0.30 points), 2.5 times faster on this machine'
    """
    parts = (say(row, original) for say in (_size, _loss, _speed))
    return f"{row['name']}: {', '.join(filter(None, parts))}"


def _size(row: Mapping[str, Any], original: Mapping[str, Any]) -> str:
    plain = times(original["bytes"], row["bytes"], "smaller", "larger")
    zipped = times(original["gzip_bytes"], row["gzip_bytes"], "smaller", "larger")
    if not plain or not zipped:
        return plain
    way = plain.rsplit(" ", 1)[-1]
    return f"{plain} ({zipped.removesuffix(f' times {way}')} zipped)"


def _loss(row: Mapping[str, Any], original: Mapping[str, Any]) -> str:
    """Returns what became of the accuracy; without labels how often the classes agree, of a regression the error."""
    if row.get("accuracy") is not None:
        points = 100 * (row["accuracy"] - original["accuracy"])
        return f"accuracy {100 * row['accuracy']:.2f} % ({points:+.2f} points)"
    if row.get("error") is not None:
        return f"mean error {row['error']:.4g} (original {original['error']:.4g})"
    if row.get("agreement") is None:
        return ""
    return f"the same class on {100 * row['agreement']:.2f} % of the samples"


def _speed(row: Mapping[str, Any], original: Mapping[str, Any]) -> str:
    said = times(original.get("p50_us"), row.get("p50_us"), "faster", "slower")
    return f"{said} on this machine" if said else ""


def times(before: float | None, after: float | None, better: str, worse: str) -> str:
    """Returns how many times less something became.

    Args:
        before: Amount of the original, or None where it is not known.
        after: Amount now, or None.
        better: Word for less, such as "smaller".
        worse: Word for more.

    Returns:
        The words; empty where one of the amounts is not known or 0.

    Example:
        >>> times(100, 25, "smaller", "larger"), times(10.0, 20.0, "faster", "slower")
        ('4.0 times smaller', '2.0 times slower')
    """
    ratio = _ratio(before, after)
    if ratio is None:
        return ""
    if abs(ratio - 1.0) < _ALIKE:
        return f"as {'fast' if better == 'faster' else 'large'} as before"
    return f"{ratio:.1f} times {better}" if ratio > 1.0 else f"{1.0 / ratio:.1f} times {worse}"


def _ratio(before: float | None, after: float | None) -> float | None:
    return before / after if before and after else None
