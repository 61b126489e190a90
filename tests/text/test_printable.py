"""Text of foreign files as a terminal may see it."""

import pytest

from tfcompress.text.printable import inline


@pytest.mark.parametrize("text", ["\x1b[31mred", "\x07", "\x9b2J", "a\nb\rc", "\u202egnp", "\ud800", "\u2028", "\x00"])
def test_orders_are_written_out(text):
    shown = inline(text)
    assert shown.isprintable() and "\\" in shown


@pytest.mark.parametrize("text", ["", "conv_1/Relu;conv_1/bias", "值 %d é", "a|b"])
def test_other_text_stays(text):
    assert inline(text) == text
