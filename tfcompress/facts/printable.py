"""Text of foreign files as it may be shown: control characters as escapes, so that no terminal obeys them."""

import re

# C0 without tab and line feed, DEL, C1, marks that turn the direction of text, separators of lines and paragraphs,
# and halves of surrogate pairs (bytes of a file name that are no UTF-8), which no stream can encode.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    r"""Replaces control characters by their escapes.

    Args:
        text: Any text; tabs and line feeds stay.

    Returns:
        The text with `\u001b` for an escape character and so on, which JSON reads as well.

    Example:
        >>> printable("a\x1b[31mb")
        'a\\u001b[31mb'
    """
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def shown(value: object, longest: int = 100) -> str:
    """A short, printable form of any value, for error messages; never fails.

    Args:
        value: Anything, also what has no working `repr` and integers that Python refuses to print.
        longest: Most characters.

    Returns:
        The text.

    Example:
        >>> shown("a" * 200, 10)
        "'aaa...aa'"
    """
    try:
        text = repr(value)
    except Exception:  # a foreign __repr__ may raise anything, and so does an int of more than 4,300 digits
        text = f"<{type(value).__name__}>"
    if isinstance(value, int) and len(text) > 24 and not isinstance(value, bool):
        text = f"{text[:8]}... ({len(text.lstrip('-'))} digits)"
    if len(text) > longest:
        half = (longest - 3) // 2
        text = f"{text[: longest - 3 - half]}...{text[-half:]}"
    return printable(text)
