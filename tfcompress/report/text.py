"""Renders a report as plain text: headings underlined, tables aligned, pictures by their descriptions."""

import textwrap
from collections.abc import Callable, Sequence

from tfcompress.report.sections import Facts, Figure, Gallery, Section, Table, Text
from tfcompress.text.table import text_table

_WIDTH = 100  # characters


def plain(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """Renders sections as plain text.

    Args:
        title: First line.
        subtitle: Line below it; may be empty.
        sections: In reading order.

    Returns:
        The text, ending in a line feed.

    Example:
        >>> plain("T", "", [Text("Note", ("One.", "Two."))]).splitlines()
        ['T', '=', '', 'Note', '----', 'One.', '', 'Two.']
    """
    head = [title, "=" * len(title), *textwrap.wrap(subtitle, _WIDTH)]
    blocks = ["\n".join(head)]
    for section in sections:
        heading = [section.title, "-" * len(section.title)] if section.title else []
        blocks.append("\n".join([*heading, _BODIES[type(section)](section)]))
    return "\n\n".join(blocks) + "\n"


def _facts(section: Facts) -> str:
    width = max(len(name) for name, _, _ in section.values)
    return "\n".join(
        f"{name.ljust(width)}  {figure}{f'  ({remark})' if remark else ''}" for name, figure, remark in section.values
    )


def _text(section: Text) -> str:
    if section.verbatim:
        return "\n\n".join(section.paragraphs)
    mark = "! " if section.warning else ""
    return "\n\n".join(
        textwrap.fill(mark + paragraph, _WIDTH, subsequent_indent=" " * len(mark)) for paragraph in section.paragraphs
    )


def _table(section: Table) -> str:
    rows = list(section.cells)
    if section.highlight is not None:
        rows = [((">" if i == section.highlight else " ") + " " + row[0], *row[1:]) for i, row in enumerate(rows)]
    header = list(section.header)
    if section.highlight is not None:
        header[0] = "  " + header[0]
    note = ["", textwrap.fill(section.note, _WIDTH)] if section.note else []
    return "\n".join([text_table(header, rows), *note])


def _figure(section: Figure) -> str:
    lines = [section.picture.description, *([section.note] if section.note else [])]
    return "\n".join(textwrap.fill(line, _WIDTH) for line in lines)


def _gallery(section: Gallery) -> str:
    lines = [f"{sample.name}: {', '.join(sample.said)}" for sample in section.samples]
    return "\n".join([*lines, *([textwrap.fill(section.note, _WIDTH)] if section.note else [])])


_BODIES: dict[type, Callable[..., str]] = {
    Facts: _facts,
    Text: _text,
    Table: _table,
    Figure: _figure,
    Gallery: _gallery,
}
