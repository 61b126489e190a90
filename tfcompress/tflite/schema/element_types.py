"""Element types of a `.tflite` file, by the schema's names in lower case: their NumPy types and sizes.

Only NumPy's own types are used: packages that add others (`bfloat16`, `int4`) may be imported or not, and the runtime
takes no arrays of them.
"""

import math
from collections.abc import Sequence

import numpy as np

_OF_NUMPY = frozenset("bool int8 uint8 int16 uint16 int32 uint32 int64 uint64".split())
_OF_NUMPY |= frozenset("float16 float32 float64 complex64 complex128".split())
_BITS = {"int2": 2, "int4": 4, "uint4": 4, "bfloat16": 16, "float8_e4m3fn": 8, "float8_e5m2": 8}


def numpy_type(name: str) -> np.dtype | None:
    """Returns NumPy's type of this name; None if there is none.

    Example:
        >>> numpy_type("int8"), numpy_type("int4"), numpy_type("string")
        (dtype('int8'), None, None)
    """
    return np.dtype(name) if name in _OF_NUMPY else None


def bytes_of(shape: Sequence[int], name: str) -> int:
    """Returns the bytes that a tensor takes; 0 for types whose elements have no fixed size, such as strings.

    Example:
        >>> bytes_of((3, 3), "int4"), bytes_of((3, 3), "float32"), bytes_of((3, 3), "string")
        (5, 36, 0)
    """
    known = numpy_type(name)
    bits = _BITS.get(name, 0) if known is None else 8 * known.itemsize
    return (math.prod(shape) * bits + 7) // 8


def is_packed(name: str) -> bool:
    """Whether several elements share a byte.

    Example:
        >>> is_packed("int4"), is_packed("int8"), is_packed("string")
        (True, False, False)
    """
    return bytes_of((2,), name) == 1


def fills_bytes(count: int, name: str) -> bool:
    """Whether that many elements end at the end of a byte.

    Example:
        >>> fills_bytes(5, "int4"), fills_bytes(6, "int4"), fills_bytes(5, "int8")
        (False, True, True)
    """
    return bytes_of((2 * count,), name) == 2 * bytes_of((count,), name)
