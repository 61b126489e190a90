"""Tables keep every cell and line up."""

import pytest

from tfcompress.text.table import markdown_table, number, text_table


def test_text_columns_line_up():
    lines = text_table(["name", "bytes"], [["a", "1"], ["longer name", "1,234,567"]]).split("\n")
    assert lines[2] == "a                    1"
    assert lines[3] == "longer name  1,234,567"
    assert len({len(line) for line in lines}) == 1


def test_markdown_escapes_bars():
    assert markdown_table(["n", "v"], [["a|b", "1"]]).split("\n")[-1] == "| a\\|b | 1 |"


@pytest.mark.parametrize("make", [text_table, markdown_table])
def test_rows_of_another_length_are_refused(make):
    with pytest.raises(ValueError, match="2 cells"):
        make(["n", "v"], [["a"]])


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (float("nan"), "-"),
        ("x", "x"),
        (0, "0"),
        (1234.56, "1,234.6"),
        (10**6, "1,000,000"),
    ],
)
def test_numbers(value, shown):
    assert number(value) == shown
