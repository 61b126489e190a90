"""Writes the parts of a flatbuffer as bytes, as few as the format allows.

A reference points forward, so tables and vectors of references come first, each before what it
points to; all other parts may lie anywhere behind them and fill the gaps that alignment leaves.
Format: FlatBuffers internals (root offset, vtables, offsets, alignment).
"""

import struct
from collections.abc import Iterator
from typing import Any

from tfcompress.tflite.optimizer.recording import Part, References, Scalars, Table

_LIMIT = 2**31 - 1


def write_parts(parts: list[Part], root: int, identifier: bytes) -> bytes:
    """Writes the parts of a flatbuffer as bytes.

    Args:
        parts: The parts; part `n` is `parts[n - 1]`.
        root: Number of the root table.
        identifier: Four bytes that name the format.

    Returns:
        The bytes; the same parts give the same bytes.

    Raises:
        ValueError: If they would not fit into the two gigabytes a flatbuffer can have.
    """
    space = _Space()
    numbers = _ordered(parts, root)
    tables = {number: _Fields(part) for number in numbers if isinstance(part := parts[number - 1], Table)}
    inner = [number for number in numbers if any(True for _ in _children(parts[number - 1]))]
    outer = [number for number in numbers if number not in set(inner)]
    places: dict[Any, int] = {number: space.append(*_shape(parts[number - 1], tables.get(number))) for number in inner}
    # parts without references may lie anywhere behind: largest alignment first, as it leaves gaps to fill
    loose: list[tuple[int, int, int, tuple]] = [
        (*_shape(parts[number - 1], tables.get(number)), ("part", number)) for number in outer
    ]
    vtables = sorted({fields.vtable for fields in tables.values()})
    loose += [(len(vtable), 2, 0, ("vtable", vtable)) for vtable in vtables]
    for size, align, lead, key in sorted(loose, key=lambda each: (-each[1], -each[0])):
        places[key[1]] = space.fill(size, align, lead)
    if space.end > _LIMIT:
        raise ValueError(f"a .tflite file has at most 2 GB. Received: parts of {space.end:,} bytes.")
    content = bytearray(space.end)
    content[:8] = struct.pack("<I4s", places[root], identifier)
    for number in numbers:
        _write(content, parts[number - 1], places[number], places, tables.get(number))
    for vtable in vtables:
        content[places[vtable] : places[vtable] + len(vtable)] = vtable
    return bytes(content)


class _Fields:
    """Offsets of the fields of a table: widest first, so that none needs padding before it."""

    def __init__(self, table: Table):
        sized = sorted(((_width(value), slot, value) for slot, value in table.fields), key=lambda f: (-f[0], f[1]))
        self.align = 8 if sized and sized[0][0] == 8 else 4
        self.fields, at = [], 4
        for width, slot, value in sized:
            self.fields.append((at, slot, value))
            at += width
        self.size = at
        slots = max((slot for _, slot, _ in self.fields), default=-1) + 1
        offsets = [0] * slots
        for at, slot, _ in self.fields:
            offsets[slot] = at
        self.vtable = struct.pack(f"<{slots + 2}H", 4 + 2 * slots, self.size, *offsets)


class _Space:
    """The file while it grows: its end, and the gaps before it by place and length."""

    def __init__(self):
        self.end = 8
        self.gaps: dict[tuple[int, int], list[int]] = {}

    def append(self, size: int, align: int, lead: int) -> int:
        start = self.end
        while (start + lead) % align or start % min(align, 4):
            start += 1
        self._leave(self.end, start)
        self.end = start + size
        return start

    def fill(self, size: int, align: int, lead: int) -> int:
        """Reserves the smallest gap that is large enough, else bytes at the end."""
        best = None
        for (phase, length), starts in self.gaps.items():
            shift = 0
            while (phase + shift + lead) % align or (phase + shift) % min(align, 4):
                shift += 1
            if starts and shift + size <= length and (best is None or (length, phase) < best[:2]):
                best = (length, phase, shift)
        if best is None:
            return self.append(size, align, lead)
        length, phase, shift = best
        start = self.gaps[phase, length].pop()
        self._leave(start, start + shift)
        self._leave(start + shift + size, start + length)
        return start + shift

    def _leave(self, start: int, end: int) -> None:
        if end > start:
            self.gaps.setdefault((start % 16, end - start), []).append(start)


def _width(value: bytes | int) -> int:
    return 4 if isinstance(value, int) else len(value)


def _children(part: Part) -> Iterator[int]:
    if isinstance(part, References):
        yield from part.parts
    elif isinstance(part, Table):
        yield from (value for _, value in part.fields if isinstance(value, int))


def _ordered(parts: list[Part], root: int) -> list[int]:
    """Returns the numbers of all parts that the root reaches, each before those it refers to."""
    done, order = set(), []
    stack = [(root, _children(parts[root - 1]))]
    seen = {root}
    while stack:
        number, children = stack[-1]
        child = next((each for each in children if each not in seen), None)
        if child is None:
            stack.pop()
            if number not in done:
                done.add(number)
                order.append(number)
        else:
            seen.add(child)
            stack.append((child, _children(parts[child - 1])))
    return order[::-1]


def _shape(part: Part, fields: _Fields | None) -> tuple[int, int, int]:
    """Returns size, alignment, and the offset in the part of the byte that is aligned."""
    if fields is not None:
        return fields.size, fields.align, 4
    if isinstance(part, References):
        return 4 + 4 * len(part.parts), 4, 4
    assert isinstance(part, Scalars)  # tables have fields
    return 4 + len(part.data), max(part.align, 4), 4


def _write(content: bytearray, part: Part, at: int, places: dict, fields: _Fields | None) -> None:
    if isinstance(part, Scalars):
        content[at : at + 4 + len(part.data)] = struct.pack("<I", part.count) + part.data
    elif isinstance(part, References):
        # an offset counts from the place where it is written
        offsets = (places[child] - (at + 4 + 4 * k) for k, child in enumerate(part.parts))
        struct.pack_into(f"<I{len(part.parts)}I", content, at, len(part.parts), *offsets)
    else:
        struct.pack_into("<i", content, at, at - places[fields.vtable])
        for offset, _, value in fields.fields:
            if isinstance(value, int):
                struct.pack_into("<I", content, at + offset, places[value] - (at + offset))
            else:
                content[at + offset : at + offset + len(value)] = value
