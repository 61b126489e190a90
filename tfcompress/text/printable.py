"""Makes text from foreign files safe to show: control characters become escapes, so that no terminal obeys them."""

import unicodedata

# Control and format characters (such as marks that turn the direction of text), separators of lines and paragraphs, and
# halves of surrogate pairs (bytes of a file name that are no UTF-8), which no stream can encode.
_ORDERS = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


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
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(letter) if unicodedata.category(letter) in _ORDERS else letter for letter in text)


def _escape(letter: str) -> str:
    return letter if letter in "\t\n" else f"\\u{ord(letter):04x}"


def inline(text: str) -> str:
    r"""Replaces control characters by their escapes, tabs and line feeds too, so that the text is one line.

    Args:
        text: Any text, such as the name of a tensor or of a device.

    Returns:
        One line of printable text.

    Example:
        >>> inline("two\nlines")
        'two\\u000alines'
    """
    return printable(text).replace("\t", "\\u0009").replace("\n", "\\u000a")


def shown(value: object, longest: int = 100) -> str:
    """Returns a short, printable form of any value, for error messages; never fails.

    Args:
        value: Anything, also an object whose `repr` fails and an integer that Python refuses to print.
        longest: Largest number of characters.

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
