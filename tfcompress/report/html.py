"""Renders a report as one HTML page without scripts or external resources, for screens, phones and print."""

from collections.abc import Callable, Sequence
from html import escape

from tfcompress.report.sections import Facts, Figure, Section, Table, Text
from tfcompress.report.style import STYLE


def page(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """Renders sections as one HTML page.

    Args:
        title: Heading and window title.
        subtitle: Line below it; may be empty.
        sections: In reading order; neighbouring narrow pictures share a row.

    Returns:
        The page's HTML, all texts escaped.

    Example:
        >>> "A &lt; B" in page("A < B", "", [])
        True
    """
    body, row = [], []
    for number, section in enumerate(sections):
        if isinstance(section, Figure) and not section.wide:  # neighbours go side by side
            row.append(_figure(section, number))
            continue
        body += _close(row)
        body.append(_BODIES[type(section)](section, number))
    body += _close(row)
    lead = f'<p class="subtitle">{escape(subtitle)}</p>' if subtitle else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<header>\n<h1>{escape(title)}</h1>\n{lead}\n{_contents(sections)}</header>\n<main>\n"
        + "\n".join(body)
        + "\n</main>\n<footer>Made by tfcompress.</footer>\n</body>\n</html>\n"
    )


def _contents(sections: Sequence[Section]) -> str:
    links = [
        f'<a href="#s{number}">{escape(section.title)}</a>' for number, section in enumerate(sections) if section.title
    ]
    return f'<nav aria-label="Contents">{"".join(links)}</nav>\n' if len(links) > 3 else ""


def _close(row: list[str]) -> list[str]:
    """Ends a row of pictures; a single one is not stretched to two columns."""
    if not row:
        return []
    block = f'<div class="row">{"".join(row)}</div>'
    row.clear()
    return [block]


def _heading(title: str) -> str:
    return f"<h2>{escape(title)}</h2>" if title else ""


def _facts(section: Facts, number: int) -> str:
    tiles = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(figure)}</dd>"
        + (f"<dd class='remark'>{escape(remark)}</dd>" if remark else "")
        + "</div>"
        for name, figure, remark in section.values
    )
    return f'<section id="s{number}">{_heading(section.title)}<dl class="facts">{tiles}</dl></section>'


def _text(section: Text, number: int) -> str:
    tag = "pre" if section.verbatim else "p"
    paragraphs = "".join(f"<{tag}>{escape(text)}</{tag}>" for text in section.paragraphs)
    kind = ' class="warning" role="note"' if section.warning else ""
    return f'<section id="s{number}"{kind}>{_heading(section.title)}{paragraphs}</section>'


def _table(section: Table, number: int) -> str:
    kinds = [' class="number"' if numeric else "" for numeric in section.numeric]
    header = "".join(
        f'<th scope="col"{kind}>{escape(cell)}</th>' for kind, cell in zip(kinds, section.header, strict=True)
    )
    lines = []
    for i, row in enumerate(section.cells):
        cells = "".join(f"<td{kind}>{escape(cell)}</td>" for kind, cell in zip(kinds, row, strict=True))
        lines.append(f'<tr class="chosen">{cells}</tr>' if i == section.highlight else f"<tr>{cells}</tr>")
    note = f'<p class="remark">{escape(section.note)}</p>' if section.note else ""
    return (
        f'<section id="s{number}">{_heading(section.title)}<div class="scroll" tabindex="0"><table>'
        f"<thead><tr>{header}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>{note}</section>"
    )


def _figure(section: Figure, number: int) -> str:
    note = f"<figcaption>{escape(section.note)}</figcaption>" if section.note else ""
    # The drawing is markup made by report/svg.py or matplotlib, which escape its texts.
    return (
        f'<section id="s{number}" class="picture">{_heading(section.title)}<figure>'
        f'<div class="scroll">{section.picture.svg}</div>{note}</figure></section>'
    )


_BODIES: dict[type, Callable[..., str]] = {Facts: _facts, Text: _text, Table: _table, Figure: _figure}
