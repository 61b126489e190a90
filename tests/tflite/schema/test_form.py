"""References of a flatbuffer that lead nowhere, backwards, or to more than any model holds."""

import struct

import pytest

from tfcompress.tflite.schema import form
from tfcompress.tflite.schema.form import check_form


def table(at, fields, vtable):
    """A table at a place and its vtable at another; `fields` are offsets by slot, 0 for none."""
    slots = [4 + 4 * k if value else 0 for k, value in enumerate(fields)]
    size = 4 + 4 * len(fields)
    head = struct.pack("<i", at - vtable) + b"".join(struct.pack("<I", value) for value in fields)
    return {at: head, vtable: struct.pack(f"<{len(fields) + 2}H", 4 + 2 * len(fields), size, *slots)}


def written(parts, root, size=256):
    content = bytearray(size)
    content[:8] = struct.pack("<I4s", root, b"TFL3")
    for at, part in parts.items():
        content[at : at + len(part)] = part
    return bytes(content)


def test_a_table_whose_references_lie_inside_is_taken():
    text = struct.pack("<I", 2) + b"ab\0"
    parts = table(32, [0, 0, 0, 100 - 32 - 16], 16) | {100: text}
    check_form(written(parts, 32))


@pytest.mark.parametrize(
    ("parts", "root", "message"),
    [
        ({}, 10_000, "table Model lies outside"),
        ({32: struct.pack("<i", 100)}, 32, "fields of table Model lie outside"),
        ({32: struct.pack("<i", -10_000)}, 32, "fields of table Model lie outside"),
        ({32: struct.pack("<i", 16), 16: struct.pack("<HH", 3, 8)}, 32, "a size that it can't have"),
        ({32: struct.pack("<i", 16), 16: struct.pack("<HH", 4, 9999)}, 32, "a size that it can't have"),
        ({32: struct.pack("<i", 16), 16: struct.pack("<HHH", 6, 8, 40)}, 32, "lies behind its end"),
        (table(32, [0, 0, 0, 2**31], 16), 32, "refers to a place outside"),
        (table(32, [0, 0, 0, 52], 16) | {100: struct.pack("<I", 2**31)}, 32, "elements, which end behind the file"),
        (table(32, [0, 0, 0, 52], 16) | {100: struct.pack("<I", 2) + b"abc"}, 32, "a text without an end"),
    ],
)
def test_what_leads_nowhere_is_refused(parts, root, message):
    with pytest.raises(ValueError, match=message):
        check_form(written(parts, root))


def test_few_bytes_cannot_name_billions_of_tables(monkeypatch):
    monkeypatch.setattr(form, "MOST_TABLES", 1000)
    count = 1100  # graphs that are all the same one
    size = 400 + 4 * count
    parts = table(32, [0, 0, 200 - 32 - 12], 16) | {200: struct.pack("<I", count)}
    graph = 300 + 4 * count
    for number in range(count):
        parts[204 + 4 * number] = struct.pack("<I", graph - 204 - 4 * number)
    parts |= table(graph, [0], graph + 40)
    with pytest.raises(ValueError, match="more than 1,000 tables"):
        check_form(written(parts, 32, size))
