"""A flatbuffer builder that records parts instead of writing bytes; equal parts become one part.

The generated schema code packs into it as into `flatbuffers.Builder`. A part is a table, a vector
of scalars, or a vector of parts; its number takes the place of an offset.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Scalars:
    """A vector of numbers, or a string.

    Attributes:
        count: Number of its elements.
        data: Their bytes, little endian; a string with the zero at its end.
        align: Alignment of the first element, in bytes.
    """

    count: int
    data: bytes
    align: int


@dataclass(frozen=True)
class References:
    """A vector of parts, by number."""

    parts: tuple[int, ...]


@dataclass(frozen=True)
class Table:
    """A table: its fields that differ from their default, by slot.

    Attributes:
        fields: Pairs of slot and value: bytes of a number, or the number of a part.
    """

    fields: tuple[tuple[int, bytes | int], ...]


Part = Scalars | References | Table

_NUMBERS = {
    "Bool": "?", "Uint8": "<u1", "Int8": "<i1", "Uint16": "<u2", "Int16": "<i2", "Uint32": "<u4", "Int32": "<i4",
    "Uint64": "<u8", "Int64": "<i8", "Float32": "<f4", "Float64": "<f8",
}  # fmt: skip


class Recorder:
    """Records the calls of generated `Pack` methods as parts.

    Args:
        alignment: Alignment of arrays that need more than their type asks for, by `id` of the array.

    Attributes:
        parts: What was packed; part `n` is `parts[n - 1]`, as 0 means "absent" in generated code.
    """

    def __init__(self, alignment: dict[int, int]):
        self.parts: list[Part] = []
        self._alignment = alignment
        self._known: dict[Part, int] = {}
        self._open: list = []
        self._size = 0

    def StartObject(self, slots: int) -> None:
        """Begins a table."""
        del slots
        self._open = []

    def EndObject(self) -> int:
        """Ends the table."""
        return self._add(Table(tuple(sorted(self._open, key=lambda field: field[0]))))

    def StartVector(self, size: int, count: int, align: int) -> None:
        """Begins a vector, which is filled from its last element on."""
        del count, align
        self._open, self._size = [], size

    def EndVector(self) -> int:
        """Ends the vector."""
        values = self._open[::-1]
        if values and isinstance(values[0], int):
            return self._add(References(tuple(values)))
        return self._add(Scalars(len(values), b"".join(values), self._size))

    def PrependUOffsetTRelative(self, part: int) -> None:
        """Adds a part to the vector."""
        self._open.append(part)

    def PrependUOffsetTRelativeSlot(self, slot: int, part: int, default: int) -> None:
        """Adds a part to the table."""
        if part != default:
            self._open.append((slot, part))

    def CreateString(self, text: str | bytes) -> int:
        """Adds a string."""
        data = text.encode() if isinstance(text, str) else bytes(text)
        return self._add(Scalars(len(data), data + b"\0", 1))

    def CreateNumpyVector(self, values: np.ndarray) -> int:
        """Adds a vector of numbers."""
        data = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
        return self._add(Scalars(values.size, data, self._alignment.get(id(values), values.itemsize)))

    def _add(self, part: Part) -> int:
        if part not in self._known:
            self.parts.append(part)
            self._known[part] = len(self.parts)
        return self._known[part]


def _number(code: str):
    def prepend(self: Recorder, value: object) -> None:
        """Adds a number to the vector."""
        self._open.append(np.asarray(value, code).tobytes())

    def slot(self: Recorder, slot: int, value: object, default: object) -> None:
        """Adds a number to the table."""
        if value != default:
            self._open.append((slot, np.asarray(value, code).tobytes()))

    return prepend, slot


for _name, _code in _NUMBERS.items():
    _prepend, _slot = _number(_code)
    setattr(Recorder, f"Prepend{_name}", _prepend)
    setattr(Recorder, f"Prepend{_name}Slot", _slot)
