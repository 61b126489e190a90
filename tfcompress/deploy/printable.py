"""Text of foreign files without what a terminal takes for orders: colours, titles, moved cursors, reversed letters."""

import unicodedata


def printable(text: str) -> str:
    r"""Writes control and format characters and halves of surrogate pairs as escapes, and leaves the rest.

    Args:
        text: Any text, such as the name of a tensor or of a device.

    Returns:
        One line of printable text.

    Example:
        >>> printable("\x1b[31mred")
        '\\x1b[31mred'
    """
    return "".join(_escape(letter) if unicodedata.category(letter) in _ORDERS else letter for letter in text)


# Control, format (such as right-to-left marks), surrogates, line and paragraph separators.
_ORDERS = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def _escape(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
