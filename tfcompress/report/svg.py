"""Draws charts as SVG: shapes and text, coloured by CSS variables.

Every colour is `var(--tfc-NAME, LIGHT)`: a page that defines the variables recolours the picture
(dark mode); without them the light colours are used. Coordinates are pixels, y grows downwards.
"""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from tfcompress.system.atomic import write_files

COLORS = {
    "ink": "#1d2129",
    "muted": "#667080",
    "grid": "#e3e6ea",
    "track": "#eef0f3",
    "paper": "#ffffff",
    "good": "#13795b",
    "bad": "#c2362b",
    "series0": "#2f5bd7",
    "series1": "#d9741a",
    "series2": "#13795b",
    "series3": "#8a3fc2",
    "series4": "#b0374d",
    "series5": "#4f6b7a",
}
SERIES = tuple(name for name in COLORS if name.startswith("series"))
_LETTER = 7.3  # pixels of a 12 pixel letter in a wide face, on average
_FONT = "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"


@dataclass(frozen=True)
class Picture:
    """A finished drawing, which notebooks display.

    Attributes:
        svg: One `<svg>` element without outer references.
        description: What it shows, in words: the text report and screen readers have only this.

    Example:
        >>> canvas = Canvas(100, 50)
        >>> canvas.text(10, 20, "hello")
        >>> picture = canvas.picture("A greeting.")
        >>> picture.svg.startswith("<svg"), picture.description
        (True, 'A greeting.')
    """

    svg: str
    description: str

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: str | os.PathLike) -> None:
        """Writes the picture as an `.svg` file.

        Args:
            path: File to write; its folder must exist.
        """
        write_files({path: self.svg.encode()})


class Canvas:
    """Collects shapes; `picture()` returns the drawing.

    Args:
        width: Pixels.
        height: Pixels.
    """

    def __init__(self, width: float, height: float):
        self.width, self.height = width, height
        self._parts: list[str] = []

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        color: str = "ink",
        size: float = 12,
        anchor: str = "start",
        bold: bool = False,
        halo: bool = False,
        turn: float = 0,
    ) -> None:
        """Writes one line with its baseline at y.

        Args:
            x: Pixels, of the point that `anchor` refers to.
            y: Pixels, of the baseline.
            text: The line; escaped here.
            color: Name from `COLORS`.
            size: Pixels.
            anchor: "start", "middle" or "end".
            bold: Heavier face.
            halo: Outlined with the paper's colour, to stay readable over lines.
            turn: Degrees that the line is turned by around its point, clockwise.
        """
        style = f"fill:{_css(color)};font-size:{size:g}px;text-anchor:{anchor}"
        if bold:
            style += ";font-weight:600"
        if halo:
            style += f";paint-order:stroke;stroke:{_css('paper')};stroke-width:4px"
        turned = f' transform="rotate({turn:g} {x:.1f} {y:.1f})"' if turn else ""
        self._parts.append(f'<text x="{x:.1f}" y="{y:.1f}"{turned} style="{style}">{escape(text, quote=False)}</text>')

    def line(
        self,
        points: Sequence[tuple[float, float]],
        *,
        color: str = "ink",
        width: float = 1,
        dash: str = "",
    ) -> None:
        """Draws an open line through points.

        Args:
            points: Pixels (x, y), two or more.
            color: Name from `COLORS`.
            width: Pixels.
            dash: SVG dash pattern such as "4 3"; empty for a solid line.
        """
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        style = f"fill:none;stroke:{_css(color)};stroke-width:{width:g};stroke-linejoin:round"
        style += f";stroke-dasharray:{dash}" if dash else ""
        self._parts.append(f'<polyline points="{path}" style="{style}"/>')

    def rect(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        *,
        color: str = "ink",
        radius: float = 0,
        title: str = "",
        outline: float = 0,
        opacity: float = 1,
    ) -> None:
        """Draws a box.

        Args:
            x: Pixels, left.
            y: Pixels, top.
            width: Pixels; a negative one is drawn as nothing.
            height: Pixels.
            color: Name from `COLORS`.
            radius: Pixels, of the corners.
            title: Shown when the pointer rests on it.
            outline: Pixels of the frame drawn instead of a filled box; 0 fills.
            opacity: Share of its colour in what is seen, 0..1.
        """
        style = f"fill:{_css(color)}" + (f";fill-opacity:{opacity:.3f}" if opacity < 1 else "")
        if outline:
            style = f"fill:none;stroke:{_css(color)};stroke-width:{outline:g}"
        self._parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}" '
            f'rx="{radius:g}" style="{style}">{_title(title)}</rect>'
        )

    def circle(
        self,
        x: float,
        y: float,
        radius: float,
        *,
        color: str,
        hollow: bool = False,
        title: str = "",
    ) -> None:
        """Draws a dot.

        Args:
            x: Pixels, of the centre.
            y: Pixels, of the centre.
            radius: Pixels.
            color: Name from `COLORS`.
            hollow: A ring filled with the paper's colour.
            title: Shown when the pointer rests on it.
        """
        fill, stroke = ("paper", color) if hollow else (color, "paper")
        style = f"fill:{_css(fill)};stroke:{_css(stroke)};stroke-width:1.5"
        self._parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" style="{style}">{_title(title)}</circle>')

    def picture(self, description: str) -> Picture:
        """Returns the finished drawing.

        Args:
            description: What it shows, in words.

        Returns:
            The picture.
        """
        svg = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:g} {self.height:g}" '
            f'width="{self.width:g}" height="{self.height:g}" role="img" '
            f'aria-label="{escape(description)}" '
            f'style="font-family:{_FONT};max-width:{1.4 * self.width:g}px">'
            f"{''.join(self._parts)}</svg>"
        )
        return Picture(svg, description)


@dataclass(frozen=True)
class Axis:
    """Maps values to pixels, linearly or by logarithm.

    Attributes:
        low: Value at pixel `start`.
        high: Value at pixel `end`.
        start: Pixels.
        end: Pixels; may be smaller than `start` (y axes).
        log: Equal distances mean equal ratios.

    Example:
        >>> axis = Axis(0, 10, 100, 200)
        >>> axis(5), axis.ticks(3)
        (150.0, [0.0, 5.0, 10.0])
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Returns the pixel of a value; values beyond the axis lie beyond its ends."""
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        share = (value - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """Returns round values inside the axis.

        Args:
            count: About how many, for a linear axis.

        Returns:
            Multiples of 1, 2 or 5 (on a short logarithmic axis also others) times a power of ten,
            ascending.
        """
        if self.log:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            found = []
            for steps in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8)):
                all_values = [step * 10.0**power for power in range(first, last + 1) for step in steps]
                found = [value for value in all_values if self.low <= value <= self.high]
                if len(found) >= 4:
                    break
            return found
        span = (self.high - self.low) or 1.0
        step = 10.0 ** math.floor(math.log10(span / count))
        step *= min((1, 2, 5, 10), key=lambda factor: abs(span / (step * factor) - count))
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(i * step, 12) for i in range(first, last + 1)]


def text_width(text: str) -> float:
    """Estimates the width of a 12 pixel line, as SVG alone cannot measure it.

    >>> text_width("hello")
    36.5
    """
    return _LETTER * len(text)


def shortened(text: str, width: float) -> str:
    """Returns a 12 pixel line that fits a width, cut in its middle where it is too long.

    >>> shortened("encoder/block_12/attention/query", 100)
    'encode…/query'
    """
    most = max(int(width / _LETTER), 3)
    if len(text) <= most:
        return text
    return f"{text[: most - 1 - (most - 1) // 2]}…{text[-((most - 1) // 2) :]}"


def _css(color: str) -> str:
    return f"var(--tfc-{color}, {COLORS[color]})"


def _title(text: str) -> str:
    return f"<title>{escape(text, quote=False)}</title>" if text else ""
