"""The sections of a report as plain data, which the text and the HTML renderer both read."""

import numbers
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tfcompress.report.svg import Picture
from tfcompress.text.table import Cell, number


@dataclass(frozen=True)
class Facts:
    """A section of a few figures that stand out.

    Attributes:
        title: Heading; empty for the figures at the top of the page.
        values: (name, figure, remark) each; the remark may be empty.
    """

    title: str
    values: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Text:
    """A section of paragraphs.

    Attributes:
        title: Heading; may be empty.
        paragraphs: Plain text; line breaks inside a paragraph do not count.
        warning: Whether it must not be overlooked.
        verbatim: Whether line breaks and spaces do count (a plan, JSON).
        lead: Whether it says what the report found, in larger type.
    """

    title: str
    paragraphs: tuple[str, ...]
    warning: bool = False
    verbatim: bool = False
    lead: bool = False


@dataclass(frozen=True)
class Table:
    """A section with a table: rows under one header.

    Attributes:
        title: Heading.
        header: Column titles.
        cells: Shown text of each cell, each row as long as the header.
        numeric: Per column, whether it is set to the right.
        highlight: Index of the row to stand out, or None.
        note: Line below; may be empty.
    """

    title: str
    header: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]
    highlight: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Figure:
    """A section with a picture and its caption.

    Attributes:
        title: Heading.
        picture: The drawing.
        note: Caption; may be empty.
        wide: Whether it takes the page's whole width.
    """

    title: str
    picture: Picture
    note: str = ""
    wide: bool = False


@dataclass(frozen=True)
class Sample:
    """A picture in a gallery.

    Attributes:
        name: What it is, such as "sample 12".
        said: What is said of it, the lines below it.
        png: The picture as PNG, in base64.
        kind: "bad" or "good" where it is framed so, or empty.
    """

    name: str
    said: tuple[str, ...]
    png: str
    kind: str = ""


@dataclass(frozen=True)
class Gallery:
    """A section of small pictures with a line or two below each.

    Attributes:
        title: Heading.
        samples: The pictures.
        note: Line below; may be empty.
    """

    title: str
    samples: tuple[Sample, ...]
    note: str = ""


Section = Facts | Text | Table | Figure | Gallery


def table_of(
    title: str,
    rows: Sequence[Mapping[str, Cell]],
    columns: dict[str, str] | None = None,
    digits: int | dict[str, int] = 4,
    highlight: int | None = None,
    note: str = "",
    texts: Collection[str] = (),
) -> Table:
    """Makes a table section of row mappings.

    Args:
        title: Heading.
        rows: One mapping per row; a missing key is shown as `-`.
        columns: Column title by key, in order; None shows every key of all rows, as it is.
        digits: Decimals of floats, for all columns or by key (others: 4).
        highlight: Index of the row to stand out.
        note: Line below the table.
        texts: Keys of columns whose cells are names, also where they look like numbers.

    Returns:
        The section.

    Raises:
        ValueError: If there are no rows, or `highlight` is none of them.

    Example:
        >>> table_of("sizes", [{"name": "a", "bytes": 9000}]).cells
        (('a', '9,000'),)
    """
    if not rows:
        raise ValueError(f"table {title!r}: rows must not be empty.")
    if highlight is not None and not 0 <= highlight < len(rows):
        raise ValueError(f"table {title!r}: highlight must be a row's index, 0..{len(rows) - 1}. Received: {highlight}")
    keys = dict.fromkeys(key for row in rows for key in row)
    columns = columns or {key: key for key in keys}
    unknown = [key for key in columns if key not in keys]
    if unknown:
        raise ValueError(f"table {title!r}: no row has {unknown}. Available: {list(keys)}")
    by_key = digits if isinstance(digits, dict) else dict.fromkeys(columns, digits)
    decimals = [by_key.get(key, 4) for key in columns]
    values = [[_plain(row.get(key)) for key in columns] for row in rows]
    return Table(
        title,
        tuple(columns.values()),
        tuple(tuple(map(_show, row, decimals)) for row in values),
        tuple(key not in texts and all(_is_numeric(row[i]) for row in values) for i, key in enumerate(columns)),
        highlight,
        note,
    )


def signed(value: float, digits: int) -> str:
    """Returns a difference with its sign; one that rounds to zero has none.

    >>> signed(0.25, 1), signed(-0.001, 2)
    ('+0.2', '0.00')
    """
    text = f"{value:+.{digits}f}"
    return text if text.strip("+-0.") else text[1:]


def _plain(value: Any) -> Cell | bool:
    """Converts NumPy numbers to Python's own."""
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value


def _show(value: Any, digits: int) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or isinstance(value, int | float | str):
        return number(value, digits)
    return str(value)


def _is_numeric(value: Any) -> bool:
    """Returns whether a value is a number, missing, or a text that begins like a number ("99.1 %")."""
    if isinstance(value, str):
        return value[:1].isdigit() or (value[:1] in "+-" and (value[1:2].isdigit() or value == "-"))
    return value is None or (isinstance(value, numbers.Real) and not isinstance(value, bool))
