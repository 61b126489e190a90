"""Draws the charts of models side by side: latency, and which class was taken for which."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfcompress.report.svg import Axis, Canvas, Picture, shortened, text_width

_WIDTH = 520.0  # pixels; half a page
_ROWS = "right class"
_LEAST_SIDE = 20.0  # pixels of a cell that a number fits in


def latency(times: Mapping[str, Mapping[str, Any]], highlight: str | None = None) -> Picture:
    """Draws the times of runs: a bar from zero to the median, and a line on to the 90th percentile.

    Args:
        times: `p50_us` and `p90_us` of each model by name, in microseconds.
        highlight: Name of the model to highlight.

    Returns:
        The picture.

    Raises:
        ValueError: If there is no model.

    Example:
        >>> latency({"int8": {"p50_us": 10.0, "p90_us": 12.5}}).description
        'latency: int8 10.0 µs, 90 % of the runs within 12.5 µs.'
    """
    if not times:
        raise ValueError(f"latency: needs the times of a model. Received: {dict(times)!r}")
    largest = max(max(row["p50_us"], row["p90_us"]) for row in times.values())
    unit, name = (1e3, "ms") if largest >= 1e4 else (1.0, "µs")
    canvas = Canvas(_WIDTH, 30 * len(times) + 44)
    left = min(max(map(text_width, times)) + 16, _WIDTH * 0.42)
    axis = Axis(0, largest / unit, left, _WIDTH - 84)
    bottom = 30 * len(times) + 6
    for tick in axis.ticks(4):
        canvas.line([(axis(tick), 0), (axis(tick), bottom)], color="grid")
        canvas.text(axis(tick), bottom + 17, f"{tick:g}", anchor="middle", color="muted")
    canvas.text(axis.end + 12, bottom + 17, name, color="muted")
    words = []
    for i, (model, row) in enumerate(times.items()):
        y, p50, p90 = 30 * i + 6, row["p50_us"] / unit, row["p90_us"] / unit
        words.append(f"{model} {p50:,.1f} {name}, 90 % of the runs within {p90:,.1f} {name}")
        canvas.text(left - 12, y + 14, shortened(model, left - 14), anchor="end", bold=model == highlight)
        color = "series0" if highlight in (None, model) else "series5"
        canvas.rect(left, y, axis(p50) - left, 18, color=color, radius=3, title=words[-1])
        canvas.line([(axis(p50), y + 9), (axis(p90), y + 9)], color="ink", width=1.5)
        canvas.line([(axis(p90), y + 4), (axis(p90), y + 14)], color="ink", width=1.5)
        canvas.text(axis.end + 12, y + 14, f"{p50:,.1f}")
    return canvas.picture(f"latency: {'; '.join(words)}.")


def confusion(counts: np.ndarray, names: Sequence[str], model: str = "") -> Picture:
    """Draws how often each class was taken for each, coloured by the share of the right class.

    Args:
        counts: How often, (k, k), the right class by row.
        names: Names of the k classes.
        model: Name of the model that answered.

    Returns:
        The picture: right answers in green, wrong ones in red.

    Raises:
        ValueError: If the counts are no square with a name for each class.

    Example:
        >>> confusion(np.array([[9, 1], [0, 5]]), ["cat", "dog"]).description
        'confusion matrix: cat 9 of 10 right (1 dog), dog 5 of 5 right.'
    """
    counts = np.asarray(counts)
    if counts.shape != (len(names), len(names)) or not len(names):
        raise ValueError(
            f"confusion: needs counts (k, k) and k names. Received: shape {counts.shape} and {len(names)} names"
        )
    longest = max(map(text_width, names))
    left = min(max(longest, text_width(_ROWS)) + 14, 130.0)
    side = min((_WIDTH - left - 4) / len(names), 56.0)
    # Names stand upright above narrow columns.
    upright = longest > side - 4
    top = 26 + (min(longest, 110.0) if upright else 14)
    canvas = Canvas(_WIDTH, top + side * len(names) + 6)
    canvas.text(left, 12, "answer" if not model else f"answer of {shortened(model, _WIDTH - left - 70)}", color="muted")
    canvas.text(left - 10, top - 6, _ROWS, anchor="end", color="muted")
    for i, name in enumerate(names):
        _names(canvas, name, i, left, top, side, upright)
        samples = int(counts[i].sum())
        for j in range(len(names)):
            x, y, count = left + j * side, top + i * side, int(counts[i, j])
            canvas.rect(x, y, side - 1, side - 1, color="track", radius=2)
            if not count:
                continue
            said = f"{name}: {count:,} of {samples:,} taken for {names[j]}"
            opacity = 0.1 + 0.4 * count / samples
            canvas.rect(
                x, y, side - 1, side - 1, color="good" if i == j else "bad", radius=2, opacity=opacity, title=said
            )
            if side >= _LEAST_SIDE:
                size = min(12.0, (side - 3) / (0.6 * len(str(count))))
                canvas.text(x + (side - 1) / 2, y + side / 2 + size * 0.34, str(count), anchor="middle", size=size)
    return canvas.picture(f"confusion matrix: {', '.join(_row(counts[i], names, i) for i in range(len(names)))}.")


def _names(canvas: Canvas, name: str, i: int, left: float, top: float, side: float, upright: bool) -> None:
    size = min(12.0, side * 0.9)
    canvas.text(left - 8, top + i * side + side / 2 + 4, shortened(name, left - 8), anchor="end", size=size)
    x = left + i * side + side / 2
    if upright:
        canvas.text(x + 4, top - 6, shortened(name, 110), size=size, turn=-90)
    else:
        canvas.text(x, top - 6, name, anchor="middle", size=size)


def _row(counts: np.ndarray, names: Sequence[str], i: int) -> str:
    wrong = [j for j in np.argsort(-counts, kind="stable") if j != i and counts[j]][:3]
    others = f" ({', '.join(f'{counts[j]:,} {names[j]}' for j in wrong)})" if wrong else ""
    return f"{names[i]} {int(counts[i]):,} of {math.fsum(counts):,.0f} right{others}"
