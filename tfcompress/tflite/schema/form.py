"""Checks that bytes have the form of a `.tflite` flatbuffer: every table, vector and string lies inside the file.

Runtimes and generated readers follow offsets without checks, also backwards and past the end. This does what the
FlatBuffers verifier does (tables, vtables, vectors, strings, unions) for the tables of schema.fbs.
"""

import struct
from typing import Any

from ai_edge_litert import schema_py_generated as schema

# More tables than any model has; vectors may share their elements, so that few bytes could name billions of them.
# The same figure as in the verifier of FlatBuffers.
MOST_TABLES = 1_000_000

_TEXT = "text"
# Slot of each field that refers to something: bytes of the elements of a vector, a text, a table by name, a vector of
# tables as a list, or a union, whose kind stands in the slot before.
_FIELDS: dict[str, dict[int, Any]] = {
    "Model": {
        1: ["OperatorCode"], 2: ["SubGraph"], 3: _TEXT, 4: ["Buffer"], 5: 4, 6: ["Metadata"], 7: ["SignatureDef"],
        8: ["ExternalBufferGroup"], 9: ["ExternalBuffer"],
    },
    "OperatorCode": {1: _TEXT},
    "SubGraph": {0: ["Tensor"], 1: 4, 2: 4, 3: ["Operator"], 4: _TEXT},
    "Tensor": {
        0: 4, 3: _TEXT, 4: "QuantizationParameters", 6: "SparsityParameters", 7: 4, 9: ["VariantSubType"],
    },
    "VariantSubType": {0: 4},
    "QuantizationParameters": {0: 4, 1: 4, 2: 4, 3: 8, 5: schema.QuantizationDetails},
    "CustomQuantization": {0: 1},
    "MultiAxisQuantization": {3: 4},
    "SparsityParameters": {0: 4, 1: 4, 2: ["DimensionMetadata"]},
    "DimensionMetadata": {3: schema.SparseIndexVector, 5: schema.SparseIndexVector},
    "Int32Vector": {0: 4},
    "Uint16Vector": {0: 2},
    "Uint8Vector": {0: 1},
    "Operator": {
        1: 4, 2: 4, 4: schema.BuiltinOptions, 5: 1, 7: 1, 8: 4, 12: schema.BuiltinOptions2,
    },
    "Buffer": {0: 1},
    "ExternalBufferGroup": {0: _TEXT},
    "ExternalBuffer": {4: _TEXT},
    "Metadata": {0: _TEXT},
    "SignatureDef": {0: ["TensorMap"], 1: ["TensorMap"], 2: _TEXT},
    "TensorMap": {0: _TEXT},
    "BucketizeOptions": {0: 4},
    "ConcatEmbeddingsOptions": {1: 4, 2: 4},
    "FullyConnectedOptions": {5: 1},
    "ReshapeOptions": {0: 4},
    "SqueezeOptions": {0: 4},
    "VarHandleOptions": {0: _TEXT, 1: _TEXT},
    "StableHLOCompositeOptions": {0: _TEXT, 2: 1},
    "StablehloBroadcastInDimOptions": {0: 8},
    "StablehloCaseOptions": {0: 4},
    "StablehloConvolutionOptions": {0: 8, 1: 8, 2: 8, 3: 8, 4: 1, 7: 8, 10: 8, 13: 8, 16: 4},
    "StablehloCustomCallOptions": {0: _TEXT, 2: _TEXT, 4: 4, 5: 1},
    "StablehloDotGeneralOptions": {0: 8, 1: 8, 2: 8, 3: 8, 4: 4},
    "StablehloDynamicSliceOptions": {0: 8},
    "StablehloGatherOptions": {0: 8, 1: 8, 2: 8, 4: 8},
    "StablehloPadOptions": {0: 8, 1: 8, 2: 8},
    "StablehloReduceOptions": {0: 8},
    "StablehloReduceWindowOptions": {0: 8, 1: 8, 2: 8, 3: 8, 4: 8},
    "StablehloScatterOptions": {1: 8, 2: 8, 3: 8},
    "StablehloSliceOptions": {0: 8, 1: 8, 2: 8},
    "StablehloTransposeOptions": {0: 8},
}  # fmt: skip
_U8, _U16, _U32, _I32 = (struct.Struct(f"<{code}") for code in "BHIi")


def check_form(content: bytes) -> None:
    r"""Raises if a reference of the flatbuffer leads to something that is not completely inside the file.

    Args:
        content: The bytes of a file.

    Raises:
        ValueError: In that case, or if the file names more tables than any model has.

    Example:
        >>> check_form(b"\x40\x00\x00\x00TFL3")
        Traceback (most recent call last):
        ValueError: table Model lies outside of the file
    """
    if len(content) < 8:
        raise ValueError("it is shorter than the head of any file")
    walk = _Walk(content)
    walk.table(_U32.unpack_from(content, 0)[0], "Model")


class _Walk:
    """Walks through the tables of a file; a table that was seen under a name is not checked again."""

    def __init__(self, content: bytes):
        self.content = content
        self.size = len(content)
        self.tables = 0
        self.seen: set[tuple[int, str]] = set()

    def table(self, at: int, name: str) -> None:
        self.tables += 1
        if self.tables > MOST_TABLES:
            raise ValueError(f"it names more than {MOST_TABLES:,} tables")
        if (at, name) in self.seen:
            return
        self.seen.add((at, name))
        slots = self._slots(at, name)
        for slot, form in _FIELDS.get(name, {}).items():
            if slot < len(slots) and slots[slot]:
                self._field(at, slots, slot, form, name)

    def _slots(self, at: int, name: str) -> tuple[int, ...]:
        """Returns the offsets of the fields in a table, by slot; 0 for those that are absent."""
        if not 4 <= at <= self.size - 4:
            raise ValueError(f"table {name} lies outside of the file")
        vtable = at - _I32.unpack_from(self.content, at)[0]
        if not 0 <= vtable <= self.size - 4:
            raise ValueError(f"the fields of table {name} lie outside of the file")
        length, size = struct.unpack_from("<HH", self.content, vtable)
        if length < 4 or length % 2 or vtable + length > self.size or size < 4 or at + size > self.size:
            raise ValueError(f"table {name} has a size that it can't have")
        slots = struct.unpack_from(f"<{length // 2 - 2}H", self.content, vtable + 4)
        if slots and max(slots) >= size:
            raise ValueError(f"a field of table {name} lies behind its end")
        return slots

    def _field(self, table: int, slots: tuple[int, ...], slot: int, form: Any, name: str) -> None:
        what = f"field {slot} of table {name}"
        at = self._target(table + slots[slot], what)
        if isinstance(form, int):
            self._vector(at, form, what)
        elif form is _TEXT:
            self._text(at, what)
        elif isinstance(form, list):
            for item in range(self._vector(at, 4, what)):
                self.table(self._target(at + 4 + 4 * item, what), form[0])
        elif isinstance(form, str):
            self.table(at, form)
        else:
            kind = _U8.unpack_from(self.content, table + slots[slot - 1])[0] if slots[slot - 1] else 0
            self.table(at, _kinds(form).get(kind, "of options"))

    def _target(self, at: int, what: str) -> int:
        if at + 4 > self.size:
            raise ValueError(f"{what} lies outside of the file")
        offset = _U32.unpack_from(self.content, at)[0]
        if not offset or at + offset + 4 > self.size:
            raise ValueError(f"{what} refers to a place outside of the file")
        return at + offset

    def _vector(self, at: int, width: int, what: str) -> int:
        count = _U32.unpack_from(self.content, at)[0]
        if at + 4 + count * width > self.size:
            raise ValueError(f"{what} has {count} elements, which end behind the file")
        return count

    def _text(self, at: int, what: str) -> None:
        end = at + 4 + self._vector(at, 1, what)
        if end >= self.size or self.content[end]:
            raise ValueError(f"{what} is a text without an end")


def _kinds(union: type) -> dict[int, str]:
    return {code: name for name, code in vars(union).items() if isinstance(code, int)}
