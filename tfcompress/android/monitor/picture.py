"""Draws a monitoring log: for each histogram the shares in use beside those of the training data."""

from tfcompress.android.monitor.monitor import Drift, Monitoring
from tfcompress.report.svg import Axis, Canvas, Picture

_WIDTH, _LEFT, _RIGHT = 720, 48, 16
_TITLE, _BARS, _LABELS = 40, 120, 46  # pixels of height of a chart's parts
_LETTER = 6  # pixels, about the width of a letter of a bin's label


def monitor_picture(monitoring: Monitoring) -> Picture:
    """Draws one chart for each histogram, one below the other.

    Args:
        monitoring: A log with at least one compared variant.

    Returns:
        The picture.

    Raises:
        ValueError: If nothing was compared.
    """
    drifts = monitoring.drifts
    if not drifts:
        raise ValueError("monitor_picture: no variant of the log was compared with a reference.")
    chart = _TITLE + _BARS + _LABELS
    canvas = Canvas(_WIDTH, 26 + chart * len(drifts))
    for place, (color, words) in enumerate((("series0", "in use"), ("series5", "training data"))):
        canvas.rect(_LEFT + 130 * place, 8, 12, 12, color=color, radius=2)
        canvas.text(_LEFT + 130 * place + 18, 18, words, color="muted")
    for row, drift in enumerate(drifts):
        _chart(canvas, drift, 26 + chart * row)
    said = "; ".join(f"{drift.name} {drift.histogram} {drift.verdict}, PSI {drift.index:.3f}" for drift in drifts)
    return canvas.picture(f"Shares of answers in use and on training data: {said}.")


def _chart(canvas: Canvas, drift: Drift, top: float) -> None:
    seen, expected = ([count / sum(counts) for count in counts] for counts in (drift.seen, drift.expected))
    base = top + _TITLE + _BARS
    axis = Axis(0, max(*seen, *expected), base, top + _TITLE)
    title = f"{drift.name}, {drift.histogram}: {drift.verdict} (PSI {drift.index:.3f}, JS {drift.distance:.3f})"
    canvas.text(_LEFT, top + 26, title, bold=True)
    for tick in axis.ticks(3):
        canvas.line([(_LEFT, axis(tick)), (_WIDTH - _RIGHT, axis(tick))], color="grid")
        canvas.text(_LEFT - 8, axis(tick) + 4, f"{tick:.0%}", anchor="end", color="muted", size=11)
    step = (_WIDTH - _RIGHT - _LEFT) / len(drift.bins)
    width = 0.36 * step
    crowded = max(map(len, drift.bins)) * _LETTER > step
    for place, name in enumerate(drift.bins):
        middle = _LEFT + (place + 0.5) * step
        for share, color, words, x in (
            (seen[place], "series0", "in use", middle - width - 1),
            (expected[place], "series5", "training data", middle + 1),
        ):
            title = f"{drift.histogram} {name}, {words}: {share:.1%}"
            canvas.rect(x, axis(share), width, base - axis(share), color=color, radius=1, title=title)
        row = place % 2 if crowded else 0  # long labels take turns on two lines
        canvas.text(middle, base + 16 + 13 * row, name, anchor="middle", color="muted", size=10)
