"""Published energies of single operations and memory accesses, from which `energy` estimates an inference.

Widths between those of a table are interpolated: an integer addition by its width, an integer multiplication by the
product of its two widths (an array multiplier has one cell for each pair of bits).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_INTEGER = re.compile(r"int(\d+)(?:x(\d+))? (add|mult)")


@dataclass(frozen=True)
class EnergyTable:
    """Energies in picojoules, named and dated.

    Args:
        name: What the table is of, and when: process, voltage, year.
        source: Where it was published.
        operations: pJ of one operation by name: `"int8 add"`, `"float32 mult"`; `int8` and `int32`
            have to be there, other integer widths (`"int16x8 mult"`) are interpolated.
        memories: Name, bytes that it holds (None: any number) and pJ of one access; smallest first.
        access_bytes: Bytes of one access.

    Example:
        >>> HOROWITZ_2014.operation_pj("float32 mult"), HOROWITZ_2014.memory_for(20_000)
        (3.7, ('cache 32 kB', 2.5))
    """

    name: str
    source: str
    operations: Mapping[str, float]
    memories: tuple[tuple[str, int | None, float], ...]
    access_bytes: int

    @property
    def note(self) -> str:
        """What figures made with the table are, and what they are not."""
        return (
            f"Estimated energy: operations and memory traffic of one inference by the table of {self.name} "
            f"({self.source}); for comparing files, not for the battery of a phone."
        )

    def operation_pj(self, name: str) -> float:
        """Returns the energy of one operation.

        Args:
            name: Such as `"int8 mult"`, `"int16x8 mult"` or `"float16 add"`.

        Raises:
            ValueError: If the table has no figure for it.
        """
        if name in self.operations:
            return self.operations[name]
        found = _INTEGER.fullmatch(name)
        if not found:
            known = ", ".join(self.operations)
            raise ValueError(f"energy: the table {self.name!r} has no figure for {name!r}. It has: {known}.")
        first, second, kind = int(found[1]), int(found[2] or found[1]), found[3]
        at, low, high = (first * second, 8 * 8, 32 * 32) if kind == "mult" else (first, 8, 32)
        below, above = self.operations[f"int8 {kind}"], self.operations[f"int32 {kind}"]
        return below + (at - low) / (high - low) * (above - below)

    def memory_for(self, size: int) -> tuple[str, float]:
        """Returns the smallest memory that holds so many bytes: its name, and pJ per byte."""
        for name, capacity, access in self.memories:
            if capacity is None or size <= capacity:
                return name, access / self.access_bytes
        raise ValueError(
            f"energy: no memory of the table {self.name!r} holds {size:,} bytes. End it with (name, None, pJ)"
        )


HOROWITZ_2014 = EnergyTable(
    name="45 nm, 0.9 V, 2014",
    source=(
        "M. Horowitz, Computing's energy problem (and what we can do about it), ISSCC 2014, pp. 10-14, "
        "figure 1.1.9, doi:10.1109/ISSCC.2014.6757323"
    ),
    operations={
        "int8 add": 0.03,
        "int32 add": 0.1,
        "float16 add": 0.4,
        "float32 add": 0.9,
        "int8 mult": 0.2,
        "int32 mult": 3.1,
        "float16 mult": 1.1,
        "float32 mult": 3.7,
    },
    # The figure gives 1.3 to 2.6 nJ for DRAM: the lower end, since weights are read one behind the other.
    memories=(
        ("cache 8 kB", 8 * 1024, 10.0),
        ("cache 32 kB", 32 * 1024, 20.0),
        ("cache 1 MB", 1024 * 1024, 100.0),
        ("DRAM", None, 1300.0),
    ),
    access_bytes=8,
)
"""Rough energy costs of a 45 nm process at 0.9 V: single operations, and accesses of 64 bits."""
