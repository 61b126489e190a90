"""Renders a report as one HTML page without scripts or external resources, for screens, phones and print."""

import re
from collections.abc import Callable, Sequence
from html import escape

from tfcompress.report.sections import Facts, Figure, Gallery, Sample, Section, Table, Text
from tfcompress.report.style import STYLE

_NARROW = 46  # letters of a row that fit a phone
_CARDS, _SHORT = ' class="cards"', " short"


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
    body, row, lead = [], [], []
    for number, section in enumerate(sections):
        if isinstance(section, Text) and section.lead and number == len(lead):
            lead.append(_text(section, number))  # what was found stands above the list of contents
            continue
        if isinstance(section, Figure) and not section.wide:  # neighbours go side by side
            row.append(_figure(section, number))
            continue
        body += _close(row)
        body.append(_BODIES[type(section)](section, number))
    body += _close(row)
    below = f'<p class="subtitle">{escape(subtitle)}</p>' if subtitle else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<header>\n<h1>{escape(title)}</h1>\n{below}\n{''.join(lead)}{_contents(sections)}</header>\n<main>\n"
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
    texts = (text.replace(" %", "\u00a0%") if section.lead else text for text in section.paragraphs)
    paragraphs = "".join(f"<{tag}>{escape(text)}</{tag}>" for text in texts)
    kind = ' class="warning" role="note"' if section.warning else ' class="lead"' if section.lead else ""
    return f'<section id="s{number}"{kind}>{_heading(section.title)}{paragraphs}</section>'


def _table(section: Table, number: int) -> str:
    # On a phone, a table of many columns becomes a card for each row; roles keep it a table for screen readers.
    cards = _letters(section) > _NARROW
    kinds = [' class="number"' if numeric else "" for numeric in section.numeric]
    header = "".join(
        f'<th scope="col"{kind}{_role(cards, "columnheader")}>{_breakable(cell)}</th>'
        for kind, cell in zip(kinds, section.header, strict=True)
    )
    lines = []
    for i, row in enumerate(section.cells):
        chosen = ' class="chosen"' if i == section.highlight else ""
        cells = "".join(map(_cell, row, section.header, kinds, [cards] * len(row)))
        lines.append(f"<tr{chosen}{_role(cards, 'row')}>{cells}</tr>")
    note = f'<p class="remark">{escape(section.note)}</p>' if section.note else ""
    group = _role(cards, "rowgroup")
    return (
        f'<section id="s{number}">{_heading(section.title)}<div class="frame{_SHORT * (not cards)}"><table'
        f"{_CARDS if cards else ''}{_role(cards, 'table')}>"
        f"<thead{group}><tr{_role(cards, 'row')}>{header}</tr></thead>"
        f"<tbody{group}>{''.join(lines)}</tbody></table></div>{note}</section>"
    )


def _letters(section: Table) -> int:
    """Estimates how many letters wide a table is at least: names and headings wrap, numbers do not."""
    wide = 0
    for i, numeric in enumerate(section.numeric):
        head = max(map(len, re.split(r"\s|(?<=[_/.-])", section.header[i])))
        cells = max((len(row[i]) for row in section.cells), default=0)
        wide += max(head, cells if numeric else min(cells, 12)) + 2  # and the space between columns
    return wide


def _breakable(heading: str) -> str:
    """Returns a heading that may be broken inside of names of files and layers, and nowhere else in a word."""
    return re.sub(r"([_/.-])(?=\w)", r"\1<wbr>", escape(heading))


def _cell(text: str, column: str, kind: str, cards: bool) -> str:
    label = f' data-label="{escape(column)}"' if cards else ""
    return f"<td{kind}{_role(cards, 'cell')}{label}>{escape(text)}</td>"


def _role(given: bool, role: str) -> str:
    return f' role="{role}"' if given else ""


def _figure(section: Figure, number: int) -> str:
    note = f"<figcaption>{escape(section.note)}</figcaption>" if section.note else ""
    # The drawing is markup made by report/svg.py or matplotlib, which escape its texts.
    return (
        f'<section id="s{number}" class="picture">{_heading(section.title)}<figure>'
        f"{section.picture.svg}{note}</figure></section>"
    )


def _gallery(section: Gallery, number: int) -> str:
    note = f'<p class="remark">{escape(section.note)}</p>' if section.note else ""
    return (
        f'<section id="s{number}">{_heading(section.title)}<ul class="gallery">'
        f"{''.join(map(_sample, section.samples))}</ul>{note}</section>"
    )


def _sample(sample: Sample) -> str:
    kind = f' class="{sample.kind}"' if sample.kind else ""
    lines = "".join(f"<span>{escape(line)}</span>" for line in (*sample.said, sample.name))
    return f'<li{kind}><img src="data:image/png;base64,{sample.png}" alt="">{lines}</li>'


_BODIES: dict[type, Callable[..., str]] = {
    Facts: _facts,
    Text: _text,
    Table: _table,
    Figure: _figure,
    Gallery: _gallery,
}
