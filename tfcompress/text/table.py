"""Formats tables as aligned text or as Markdown, with numbers aligned to the right."""

import math
from collections.abc import Sequence

from tfcompress.text.printable import inline

Cell = str | int | float | None


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Formats a table as aligned text, the first column to the left, the others to the right.

    Args:
        header: Column titles.
        rows: Cells as strings, each row as long as `header`.

    Returns:
        Lines joined by line feeds, without a trailing one.

    Raises:
        ValueError: If a row has another number of cells than the header.

    Example:
        >>> print(text_table(["name", "bytes"], [["a", "9"]]))
        name  bytes
        ----  -----
        a         9
    """
    _check(header, rows)
    rows = [[inline(cell) for cell in row] for row in rows]
    widths = [max(len(line[i]) for line in [header, *rows]) for i in range(len(header))]
    lines = [header, ["-" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Formats a table as Markdown; `|` in a cell is escaped.

    Args:
        header: Column titles.
        rows: Cells as strings, each row as long as `header`.

    Returns:
        Lines joined by line feeds, without a trailing one.

    Raises:
        ValueError: If a row has another number of cells than the header.

    Example:
        >>> print(markdown_table(["name", "bytes"], [["a", "9"]]))
        | name | bytes |
        | :--- | ---: |
        | a | 9 |
    """
    _check(header, rows)
    marks = [":---", *["---:"] * (len(header) - 1)]
    escaped = [[inline(cell).replace("|", "\\|") for cell in line] for line in [header, *rows]]
    return "\n".join("| " + " | ".join(line) + " |" for line in [escaped[0], marks, *escaped[1:]])


def number(value: Cell, digits: int = 1) -> str:
    """Formats a cell: integers with thousands separators, floats with `digits` decimals, None as `-`.

    Args:
        value: The value.
        digits: Decimals of a float.

    Returns:
        The text of the cell.

    Example:
        >>> number(12345), number(0.98765, 4), number(None)
        ('12,345', '0.9877', '-')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, str):
        return value
    return f"{value:,d}" if isinstance(value, int) else f"{value:,.{digits}f}"


def _check(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    for row in rows:
        if len(row) != len(header):
            raise ValueError(
                f"table: each row must have {len(header)} cells, like the header. "
                f"Received: {len(row)} cells in {list(row)!r}."
            )
