"""Draws the report's charts: trade-off, bars, ranges, curves.

Each function takes plain numbers and returns a `Picture`, whose description says in words what it
shows. No other package is needed to draw or to view them.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tfcompress.report.svg import SERIES, Axis, Canvas, Picture, shortened, text_width

_WIDTH = 520.0  # pixels; half a page
_LONGEST = 260.0  # pixels of a name in a chart
_LEAST_SPAN = 0.1  # of an axis of fractions: smaller differences are not drawn as large ones


def tradeoff(points: Sequence[Mapping[str, Any]], y_title: str = "accuracy", highlight: str | None = None) -> Picture:
    """Draws accuracy against bytes: a dot for the raw file, a ring for the gzipped one.

    Args:
        points: One mapping per model: `name`, `bytes` (raw, of the file), `accuracy` (fraction
            0..1) and, where known, `gzip` (bytes).
        y_title: What the fraction is.
        highlight: Name of the point to highlight.

    Returns:
        The picture; bytes are on a logarithmic axis, accuracy on one of ten points at least, so that a difference
        smaller than a point looks small.

    Raises:
        ValueError: If there is no point, or bytes are not positive.

    Example:
        >>> tradeoff([{"name": "a", "bytes": 900, "accuracy": 0.5}]).description
        'accuracy against bytes: a 50.00 % at 900 B.'
    """
    if not points or any(not point["bytes"] or point["bytes"] <= 0 for point in points):
        raise ValueError(f"tradeoff: needs points with positive bytes. Received: {points!r}")
    canvas = Canvas(_WIDTH, 380)
    sizes = [size for point in points for size in (point["bytes"], point.get("gzip")) if size]
    shares = [float(point["accuracy"]) for point in points]
    x_axis = Axis(min(sizes) / 1.5, max(sizes) * 1.5, 64, _WIDTH - 16, log=True)
    y_axis = Axis(*_share_span(shares), 326, 34)
    x_title = "file size, logarithmic (dot: as it is, ring: gzip)"
    _frame(canvas, x_axis, y_axis, x_title, _cut_title(y_title, y_axis), _bytes, _percent)
    occupied: list[tuple[float, float, float, float]] = []
    words = []
    points = sorted(points, key=lambda point: point["name"] == highlight)  # drawn last, on top
    for i, point in enumerate(points):
        color = _tradeoff_color(i, point["name"], highlight)
        x, y = x_axis(point["bytes"]), y_axis(point["accuracy"])
        words.append(f"{point['name']} {point['accuracy']:.2%} at {point['bytes']:,} B")
        if point.get("gzip"):
            ring = x_axis(point["gzip"])
            words[-1] += f" ({point['gzip']:,} B gzip)"
            canvas.line([(ring, y), (x, y)], color=color, dash="2 3")
            canvas.circle(ring, y, 4.5, color=color, hollow=True, title=words[-1])
            occupied.append((ring - 6, y - 6, ring + 6, y + 6))
        occupied.append((x - 7, y - 7, x + 7, y + 7))
        canvas.circle(x, y, 6, color=color, title=words[-1])
    # The label of the highlighted point is placed first.
    for i, point in sorted(enumerate(points), key=lambda pair: pair[1]["name"] != highlight):
        _place_label(canvas, point, x_axis, y_axis, occupied, highlight, i)
    said = "; ".join(words).replace("%", " %").replace("  ", " ")
    return canvas.picture(f"{y_title} against bytes: {said}.")


def bars(
    values: Mapping[str, float | None],
    form: str = "{:.1%}",
    limit: float | None = None,
    highlight: Sequence[str] = (),
    quantity: str = "value",
) -> Picture:
    """Draws horizontal bars from zero, each with its number.

    Args:
        values: Length by name, none negative; None is drawn as "-" (no value, not measured).
        form: Format of the number.
        limit: Value at the full width; None takes the largest.
        highlight: Names drawn in the accent colour; empty colours all.
        quantity: What the numbers are, for the description.

    Returns:
        The picture.

    Raises:
        ValueError: If there are no values, or a negative one.

    Example:
        >>> bars({"conv1": 0.5, "conv2": None}, quantity="zeros").description
        'zeros: conv1 50.0%, conv2 -.'
    """
    known = [value for value in values.values() if value is not None]
    if not values or any(value < 0 for value in known):
        raise ValueError(f"bars: needs values of at least 0. Received: {dict(values)!r}")
    canvas = Canvas(_WIDTH, 26 * len(values) + 6)
    left = _label_width(values)
    axis = Axis(0, limit or max(known, default=1) or 1, left, _WIDTH - 84)
    words = []
    for i, (name, value) in enumerate(values.items()):
        y = 26 * i + 4
        number = "-" if value is None else form.format(value)
        color = "series0" if not highlight or name in highlight else "series5"
        canvas.text(left - 12, y + 14, shortened(name, left - 14), anchor="end")
        canvas.rect(left, y, axis.end - left, 18, color="track", radius=3)
        title = f"{name}: {number}"
        canvas.rect(left, y, axis(value or 0) - left, 18, color=color, radius=3, title=title)
        canvas.text(axis.end + 10, y + 14, number, color="ink" if value else "muted")
        words.append(f"{name} {number}")
    return canvas.picture(f"{quantity}: {', '.join(words)}.")


def ranges(values: Mapping[str, tuple[float, float]], quantity: str = "ranges") -> Picture:
    """Draws ranges on one axis with zero marked, such as the values that each quantized tensor can hold.

    Args:
        values: (low, high) by name, low <= high.
        quantity: What the numbers are, for the description.

    Returns:
        The picture.

    Raises:
        ValueError: If there is no span, or one is not finite or upside down.

    Example:
        >>> ranges({"relu": (0.0, 6.0)}).description
        'ranges: relu 0 to 6.'
    """
    broken = [name for name, (low, high) in values.items() if not -math.inf < low <= high < math.inf]
    if not values or broken:
        raise ValueError(f"ranges: needs finite (low, high). Received: {dict(values)!r}")
    canvas = Canvas(_WIDTH, 26 * len(values) + 40)
    left, bottom = _label_width(values), 26 * len(values) + 8
    lows, highs = zip(*values.values(), strict=True)
    axis = Axis(min(0.0, *lows), max(0.0, *highs), left + 8, _WIDTH - 16)
    for tick in axis.ticks(6):
        canvas.line([(axis(tick), 0), (axis(tick), bottom)], color="grid")
        canvas.text(axis(tick), bottom + 18, f"{tick:g}", anchor="middle", color="muted")
    canvas.line([(axis(0), 0), (axis(0), bottom)], color="muted")
    words = []
    for i, (name, (low, high)) in enumerate(values.items()):
        y = 26 * i + 4
        words.append(f"{name} {low:.3g} to {high:.3g}")
        canvas.text(left - 12, y + 14, shortened(name, left - 14), anchor="end")
        width = max(axis(high) - axis(low), 2)
        canvas.rect(axis(low), y + 3, width, 12, color="series0", radius=3, title=words[-1])
    return canvas.picture(f"{quantity}: {', '.join(words)}.")


def curves(
    series: Mapping[str, Sequence[float]],
    y_title: str = "loss",
    x_title: str = "epoch",
    log: bool = False,
) -> Picture:
    """Draws lines over epochs, numbered from 1.

    Args:
        series: Values by name, at most six series; NaN leaves a gap.
        y_title: What the values are.
        x_title: What is counted.
        log: Logarithmic y axis; values must then be positive.

    Returns:
        The picture.

    Raises:
        ValueError: If there are no values, more than six series, or non-positive values with `log`.

    Example:
        >>> curves({"student": [2.0, 1.0]}).description
        'loss by epoch: student from 2 to 1 in 2.'
    """
    known = [value for line in series.values() for value in line if math.isfinite(value)]
    if not known or len(series) > len(SERIES) or (log and min(known) <= 0):
        raise ValueError(
            f"curves: needs 1 to {len(SERIES)} series of finite values, positive ones on a "
            f"logarithmic axis (log={log}). Received: {dict(series)!r}"
        )
    legend = _legend_rows(series)
    top = 16 + 18 * len(legend)
    canvas = Canvas(_WIDTH, top + 270)
    x_axis = Axis(1, max(2, *(len(line) for line in series.values())), 64, _WIDTH - 20)
    y_axis = Axis(*_curve_span(known, log), top + 216, top + 4, log=log)
    _frame(canvas, x_axis, y_axis, x_title, "", "{:g}".format, "{:.3g}".format, whole=True)
    canvas.text(4, 18, y_title, color="muted")
    words = []
    for color, (name, line) in zip(SERIES, series.items(), strict=False):
        points = [(x_axis(i), y_axis(value)) for i, value in enumerate(line, 1) if math.isfinite(value)]
        canvas.line(points, color=color, width=2)
        for x, y in points if len(points) <= 40 else points[-1:]:
            canvas.circle(x, y, 3.5, color=color)
        finite = [value for value in line if math.isfinite(value)]
        if finite:
            words.append(f"{name} from {finite[0]:.3g} to {finite[-1]:.3g} in {len(line)}")
    for row, entries in enumerate(legend):
        for x, color, name in entries:
            canvas.circle(x + 5, 14 + 18 * row, 4.5, color=color)
            canvas.text(x + 15, 18 + 18 * row, name)
    return canvas.picture(f"{y_title} by {x_title}: {', '.join(words)}.")


def _share_span(shares: list[float]) -> tuple[float, float]:
    """Returns the limits of an axis of fractions around the given ones, ten points apart at least, within 0 and 1."""
    margin = (max(shares) - min(shares)) * 0.1
    low = max(math.floor((min(shares) - margin) * 20 + 1e-6) / 20, 0.0)
    high = min(math.ceil((max(shares) + margin) * 20 - 1e-6) / 20, 1.0)
    short = max(round(_LEAST_SPAN - (high - low), 6), 0.0)
    above = min(short / 2, 1.0 - high)
    low = max(low - (short - above), 0.0)
    return low, max(high + above, min(low + _LEAST_SPAN, 1.0))


def _cut_title(title: str, axis: Axis) -> str:
    """Says at an axis of fractions where it begins and ends, if it is not the whole from 0 to 100 %."""
    return title if (axis.low, axis.high) == (0.0, 1.0) else f"{title}, {_percent(axis.low)} to {_percent(axis.high)}"


def _curve_span(values: list[float], log: bool) -> tuple[float, float]:
    """Returns the limits of the y axis: from 0 if no value is below it, else a little more than the values."""
    low, high = min(values), max(values)
    if log:
        return low / 1.15, high * 1.15
    margin = (high - min(low, 0.0)) * 0.08 or 0.5
    return (0.0 if low >= 0 else low - margin), high + margin


def _legend_rows(names: Mapping[str, Any]) -> list[list[tuple[float, str, str]]]:
    """Places a legend in as many rows as it needs: (x, colour, name) of each entry, by row."""
    rows, x = [[]], 64.0
    for color, name in zip(SERIES, names, strict=False):
        name = shortened(name, _LONGEST)
        width = text_width(name) + 30
        if rows[-1] and x + width > _WIDTH:
            rows.append([])
            x = 64.0
        rows[-1].append((x, color, name))
        x += width
    return rows


def _frame(canvas, x_axis, y_axis, x_title, y_title, x_form, y_form, whole=False) -> None:
    """Draws grid, tick labels and titles of a chart with two axes.

    Labels that would touch the last one are left out; with `whole`, an x axis of whole numbers has no others.
    """
    written = -math.inf
    for tick in y_axis.ticks(5):
        y = y_axis(tick)
        canvas.line([(x_axis.start, y), (x_axis.end, y)], color="grid")
        canvas.text(x_axis.start - 8, y + 4, y_form(tick), anchor="end", color="muted")
    for tick in x_axis.ticks(8):
        if whole and tick != round(tick):
            continue
        x = x_axis(tick)
        canvas.line([(x, y_axis.start), (x, y_axis.start + 5)], color="muted")
        half = text_width(x_form(tick)) / 2
        if x - half > written + 4:
            canvas.text(x, y_axis.start + 19, x_form(tick), anchor="middle", color="muted")
            written = x + half
    canvas.line([(x_axis.start, y_axis.start), (x_axis.end, y_axis.start)], color="muted")
    canvas.text(x_axis.end, y_axis.start + 40, x_title, anchor="end", color="muted")
    if y_title:
        canvas.text(4, 18, y_title, color="muted")


def _place_label(canvas, point, x_axis, y_axis, occupied, highlight, index) -> None:
    """Writes a point's name at the first free place around it, with a thin line if that is far away."""
    x, y, name = x_axis(point["bytes"]), y_axis(point["accuracy"]), shortened(str(point["name"]), _LONGEST)
    width, bold = text_width(name), point["name"] == highlight
    width *= 1.06 if bold else 1.0
    frame = (x_axis.start, y_axis.end - 14, x_axis.end + 12, y_axis.start)
    boxes = [(dx, dy, (x + dx, y + dy - 11, x + dx + width, y + dy + 3)) for dx, dy in _around(width)]
    inside = [place for place in boxes if _within(place[2], frame)] or boxes[:1]
    free = [place for place in inside if not any(_overlap(place[2], o) for o in occupied)]
    dx, dy, box = (free or inside)[0]
    if abs(dy) > 22:
        near = min(max(x, box[0]), box[2])  # the place on the label that is nearest to the point
        canvas.line([(x, y), (near, y + dy + (4 if dy < 0 else -11))], color="muted", width=0.75)
    occupied.append(box)
    color = _tradeoff_color(index, point["name"], highlight)
    canvas.text(box[0], y + dy, name, bold=bold, halo=True, color=color if bold else "ink")


def _around(width: float) -> list[tuple[float, float]]:
    """Returns places of a label relative to its point, the best first: beside, above, below, farther."""
    places = [(11.0, 4.0), (-11 - width, 4.0), (-width / 2, -12.0), (-width / 2, 21.0)]
    for away in range(28, 140, 16):
        for dy in (-float(away), away + 6.0):
            places += [(14.0, dy), (-14 - width, dy), (-width / 2, dy)]
    return places


def _within(box: tuple, frame: tuple) -> bool:
    return frame[0] < box[0] and frame[1] < box[1] and box[2] < frame[2] and box[3] < frame[3]


def _tradeoff_color(index: int, name: Any, highlight: str | None) -> str:
    if highlight is None:
        return SERIES[index % len(SERIES)]
    return "series1" if name == highlight else "series0"


def _overlap(a: tuple, b: tuple) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _label_width(names: Mapping[str, Any]) -> float:
    return min(max(text_width(name) for name in names) + 16, _WIDTH * 0.45)


def _bytes(value: float) -> str:
    return f"{value / 1e6:g} MB" if value >= 1e6 else f"{value / 1e3:g} kB"


def _percent(value: float) -> str:
    return f"{value * 100:.4g} %"
