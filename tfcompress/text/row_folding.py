"""Folds rows of which many say the same to a line for each kind."""

from collections import defaultdict
from collections.abc import Iterable

_NAMED = 2  # places that a line names
OUTPUT = "output"


def fold(rows: Iterable[tuple[str, str, str]], most: int) -> list[str]:
    """Returns a line for each text, with the number of its rows and the first places.

    Args:
        rows: `(place, kind of thing, text)`; the kind `OUTPUT` is shown last.
        most: Most lines; rarer texts are counted in the last of them.

    Example:
        >>> fold([("a", "kernel", "8 bits"), ("b", "kernel", "8 bits"), ("a", "output", "range")], 5)
        ['2 kernels: 8 bits (a, b)', '1 output: range (a)']
    """
    kinds: dict[tuple[bool, str], list] = defaultdict(list)
    for place, kind, text in rows:
        kinds[kind == OUTPUT, text].append((place, kind))
    ordered = sorted(kinds.items(), key=lambda found: (found[0][0], -len(found[1])))
    shown = ordered if len(ordered) <= most else ordered[: most - 1]
    lines = [_line(text, alike) for (_, text), alike in shown]
    if left := ordered[len(shown) :]:
        lines.append(f"{sum(len(alike) for _, alike in left)} more in {len(left)} other kinds")
    return lines


def _line(text: str, alike: list[tuple[str, str]]) -> str:
    kinds = {kind for _, kind in alike}
    what = kinds.pop() if len(kinds) == 1 else "weight"
    named = ", ".join(place for place, _ in alike[:_NAMED]) + (", ..." if len(alike) > _NAMED else "")
    return f"{len(alike)} {what}{'s' if len(alike) > 1 else ''}: {text} ({named})"
