"""A report: a title and sections of plain data, shown as text or as one HTML page.

It is independent of models: callers add facts, texts, tables and pictures in reading order. `save`
writes `report.txt` and `report.html`, both completely or neither.
"""

import io
import os
import pathlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tfcompress.report.html import page
from tfcompress.report.sections import Facts, Figure, Gallery, Sample, Section, Text, table_of
from tfcompress.report.svg import Picture
from tfcompress.report.text import plain
from tfcompress.system.atomic import write_files
from tfcompress.text.table import Cell


class Report:
    """Collects the sections of a report and renders them as text or HTML.

    Args:
        title: What the report is about.
        subtitle: One line below: data, date, machine; may be empty.

    Example:
        >>> report = Report("Digits", "drawn digits")
        >>> report.add_table("Files", [{"file": "a.tflite", "bytes": 9000}])
        >>> print(report.text())
        Digits
        ======
        drawn digits
        <BLANKLINE>
        Files
        -----
        file      bytes
        --------  -----
        a.tflite  9,000
        <BLANKLINE>
        >>> report.html().startswith("<!doctype html>")
        True
    """

    def __init__(self, title: str, subtitle: str = ""):
        if not title:
            raise ValueError("Report: title must not be empty.")
        self.title, self.subtitle = title, subtitle
        self._sections: list[Section] = []

    @property
    def sections(self) -> tuple[Section, ...]:
        """The sections that were added, in order."""
        return tuple(self._sections)

    def add_facts(self, values: Mapping[str, str | tuple[str, str]], title: str = "") -> None:
        """Adds figures that stand out.

        Args:
            values: Figure by name, as text with its unit, or (figure, remark).
            title: Heading; leave it empty at the top of the page.

        Raises:
            ValueError: If there are none.
        """
        if not values:
            raise ValueError("Report.add_facts: values must not be empty.")
        triples = ((name, *value) if isinstance(value, tuple) else (name, value, "") for name, value in values.items())
        self._sections.append(Facts(title, tuple(triples)))

    def add_text(self, title: str, text: str | Sequence[str], verbatim: bool = False) -> None:
        """Adds paragraphs.

        Args:
            title: Heading; may be empty.
            text: One paragraph or several.
            verbatim: Keep line breaks and spaces, in a fixed-width face.
        """
        paragraphs = (text,) if isinstance(text, str) else tuple(text)
        self._sections.append(Text(title, paragraphs, verbatim=verbatim))

    def add_verdict(self, lines: str | Sequence[str]) -> None:
        """Adds what the report found, in larger type.

        Args:
            lines: One sentence, or one for each file.
        """
        self._sections.append(Text("", (lines,) if isinstance(lines, str) else tuple(lines), lead=True))

    def add_warning(self, text: str) -> None:
        """Adds a sentence that must not be overlooked.

        Args:
            text: One paragraph.
        """
        self._sections.append(Text("", (text,), warning=True))

    def add_table(
        self,
        title: str,
        rows: Sequence[Mapping[str, Cell]],
        columns: Mapping[str, str] | None = None,
        digits: int | dict[str, int] = 4,
        highlight: int | None = None,
        note: str = "",
        texts: Collection[str] = (),
    ) -> None:
        """Adds a table.

        Args:
            title: Heading.
            rows: One mapping per row; a missing key is shown as `-`.
            columns: Column title by key, in order; None shows every key.
            digits: Decimals of floats, for all columns or by key (others: 4).
            highlight: Index of the row to stand out.
            note: Line below the table.
            texts: Keys of columns whose cells are names, also where they look like numbers.

        Raises:
            ValueError: If there are no rows, or `highlight` or a column does not exist.
        """
        columns = dict(columns) if columns else None
        rows = [dict(row) for row in rows]
        self._sections.append(table_of(title, rows, columns, digits, highlight, note, texts))

    def add_picture(self, title: str, picture: Picture | Any, note: str = "", wide: bool = False) -> None:
        """Adds a picture.

        Args:
            title: Heading.
            picture: A `Picture` of `report/charts.py`, or a matplotlib figure (anything that has
                matplotlib's `savefig`), which is embedded as SVG.
            note: Caption.
            wide: Take the page's whole width.

        Raises:
            TypeError: If it is neither.
        """
        if not isinstance(picture, Picture):
            picture = _from_savefig(picture, title)
        self._sections.append(Figure(title, picture, note, wide))

    def add_gallery(self, title: str, samples: Sequence[Sample], note: str = "") -> None:
        """Adds small pictures with a line or two below each.

        Args:
            title: Heading.
            samples: The pictures, at least one.
            note: Line below.

        Raises:
            ValueError: If there are none.
        """
        if not samples:
            raise ValueError(f"Report.add_gallery: {title!r} needs samples. Received: none.")
        self._sections.append(Gallery(title, tuple(samples), note))

    def text(self) -> str:
        """Renders the report as plain text, with the descriptions of pictures.

        Returns:
            Lines of at most 100 characters, tables and verbatim texts excepted.
        """
        return plain(self.title, self.subtitle, self.sections)

    def html(self) -> str:
        """Renders the report as one HTML page without external resources or scripts.

        Returns:
            The page.
        """
        return page(self.title, self.subtitle, self.sections)

    def save(self, folder: str | os.PathLike) -> tuple[pathlib.Path, pathlib.Path]:
        """Writes `report.html` and `report.txt`.

        Args:
            folder: Made if it does not exist.

        Returns:
            Paths of the two files.
        """
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        html, text = folder / "report.html", folder / "report.txt"
        write_files({html: self.html().encode(), text: self.text().encode()})
        return html, text


def _from_savefig(figure: Any, title: str) -> Picture:
    """Embeds a matplotlib figure without importing matplotlib."""
    if not callable(getattr(figure, "savefig", None)):
        raise TypeError(
            "Report.add_picture: picture must be a Picture (tfcompress.report.charts) or a "
            f"matplotlib figure. Received: {type(figure).__name__}"
        )
    stream = io.BytesIO()
    # No date: the same figure gives the same bytes.
    figure.savefig(stream, format="svg", bbox_inches="tight", metadata={"Date": None})
    svg = stream.getvalue().decode()
    svg = svg[svg.index("<svg") :]  # an XML prologue may not stand inside HTML
    return Picture(svg, title)
