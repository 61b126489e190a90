"""Measures the energy of a run with the counters of the processor packages (RAPL) that Linux shows.

A counter is that of a whole package: all of its cores, whoever keeps them busy, and what it takes while idle. It is
read before and after a run and nothing is subtracted. Interface: docs.kernel.org/power/powercap/powercap.html.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

ROOT = Path("/sys/class/powercap")


@dataclass(frozen=True)
class MeasuredEnergy:
    """Energy of one inference, as `PowerMeter` measured it.

    Attributes:
        joules: Energy of all processor packages per inference; None if not measured.
        reason: Why it is None; None if it was measured.
    """

    joules: float | None
    reason: str | None = None


class PowerMeter:
    """Adds up the energy of the processor packages over blocks of runs: `with meter: run()`.

    Args:
        root: Folder of the power zones; None takes `ROOT`.

    Example:
        >>> meter = PowerMeter(Path("/nowhere"))
        >>> with meter:
        ...     pass
        >>> meter.per_run(1).joules is None
        True
    """

    def __init__(self, root: Path | None = None):
        self._joules = 0.0
        self._before: list[int] = []
        self._zones: list[Path] = []
        self._spans: list[int] = []
        self._reason: str | None = None
        self._try(lambda: self._find(ROOT if root is None else root))

    def __enter__(self) -> "PowerMeter":
        """Reads the counters."""
        self._try(self._begin)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Reads the counters again and adds what went by."""
        self._try(self._end)

    def per_run(self, runs: int) -> MeasuredEnergy:
        """Returns the energy of one of so many runs, or the reason why there is none."""
        if self._reason is not None:
            return MeasuredEnergy(None, self._reason)
        if not self._joules:
            return MeasuredEnergy(None, "the counters did not move during so short a run")
        return MeasuredEnergy(self._joules / runs)

    def _find(self, root: Path) -> None:
        # "intel-rapl:0" is a package (also on AMD); "intel-rapl:0:1" a part of it, "psys" the platform around it.
        zones = [zone for zone in sorted(root.glob("intel-rapl:*")) if zone.name.count(":") == 1]
        self._zones = [zone for zone in zones if (zone / "name").read_text().strip().startswith("package")]
        if not self._zones:
            self._reason = f"{root} has no intel-rapl package (virtual machines and many processors show none)"
            return
        self._spans = [_number(zone / "max_energy_range_uj") for zone in self._zones]
        self._counters()  # only root may read them on most systems

    def _begin(self) -> None:
        self._before = self._counters()

    def _end(self) -> None:
        for before, after, span in zip(self._before, self._counters(), self._spans, strict=True):
            # A counter that has reached its span begins again at 0.
            self._joules += (after - before if after >= before else after - before + span) * 1e-6

    def _counters(self) -> list[int]:
        return [_number(zone / "energy_uj") for zone in self._zones]

    def _try(self, step: Callable[[], None]) -> None:
        if self._reason is not None:
            return
        try:
            step()
        except PermissionError as error:
            self._reason = f"{error.filename} may be read by root alone; allow it with `chmod a+r`"
        except (OSError, ValueError) as error:
            self._reason = f"the counters can't be read: {error}"


def _number(path: Path) -> int:
    return int(path.read_text())
