"""The benchmark report: one JSON document of schema `tfcompress.bench/1`, and tables made of it.

This package and the Android app write the same schema, so reports of a host and of phones can be
shown in one table.
"""

import json
from collections.abc import Iterator, Sequence
from os import PathLike, fspath
from typing import Any

from tfcompress.benchmarking.bench_schema import validate
from tfcompress.system.atomic import write_files
from tfcompress.text.printable import inline
from tfcompress.text.table import markdown_table, number, text_table
from tfcompress.validation import strict_json

# Enough for reports of hundreds of models, also with what later versions may add.
LARGEST_BYTES = 1 << 24
# From this thermal status on a phone lowers its clock, and results are marked.
_HOT = ("moderate", "severe", "critical", "emergency", "shutdown")
_HEADER = (
    "model",
    "bytes",
    "init us",
    "first us",
    "p50 us",
    "p90 us",
    "p99 us",
    "mean us",
    "std us",
    "cpu us",
    "peak bytes",
    "runs",
)
_ENERGY = "uJ"  # a column only where something was measured
_SOURCES = {
    "rapl": "the processor packages, idle power included (RAPL)",
    "battery": "the whole phone by the counters of its battery, which are coarse",
}


class BenchReport:
    """Benchmark report: the result of `benchmark`, or a report that the Android app wrote.

    Args:
        document: The parsed JSON; its fields are described in `benchmarking/bench_schema.json`. Keys that
            the schema does not know are kept.

    Raises:
        ValueError: If the document breaks the schema or names a model twice.

    Example:
        >>> BenchReport.from_json("[]")
        Traceback (most recent call last):
        ...
        ValueError: report: must be object. Received: [].
    """

    def __init__(self, document: dict[str, Any]):
        validate(document)
        names = [result["name"] for result in document["results"]]
        if len(set(names)) < len(names):
            raise ValueError(f"report.results: names must be unique. Received: {names}.")
        self.document = document

    @property
    def results(self) -> list[dict[str, Any]]:
        """Results of the models, one dictionary each as in the schema, in the order they were given."""
        return self.document["results"]

    @property
    def order(self) -> list[str]:
        """Names of the models in the order in which their timed blocks ran."""
        return self.document["order"]

    def __getitem__(self, name: str) -> dict[str, Any]:
        """Returns the result of one model by name."""
        for result in self.results:
            if result["name"] == name:
                return result
        raise KeyError(f"no result named {name!r}; there are {[r['name'] for r in self.results]}")

    def __iter__(self) -> Iterator[str]:
        """Iterates over the names of the models."""
        return (result["name"] for result in self.results)

    def __len__(self) -> int:
        """Returns the number of models."""
        return len(self.results)

    def __repr__(self) -> str:
        """Returns names and medians."""
        medians = (f"{r['name']}: p50 {r['latency']['p50_us']:.1f} us" for r in self.results)
        return f"BenchReport({', '.join(medians)})"

    def line(self, name: str | None = None) -> str:
        """Returns the one-line summary that LiteRT's `benchmark_model` prints for a model.

        Args:
            name: Model; None takes the first.

        Returns:
            The line `Inference timings in us: Init: .., First inference: .., Warmup (avg): ..,
            Inference (avg): ..`.

        Raises:
            KeyError: If there is no such model.
        """
        result = self.results[0] if name is None else self[name]
        return (
            f"Inference timings in us: Init: {result['init_us']:.0f}, "
            f"First inference: {result['first_us']:.0f}, "
            f"Warmup (avg): {result['warmup']['mean_us']:.6g}, "
            f"Inference (avg): {result['latency']['mean_us']:.6g}"
        )

    def text(self) -> str:
        """Returns where and how the models were measured, a table of results, and notes."""
        return self._page(text_table)

    def markdown(self) -> str:
        """Returns the same as `text()` in Markdown."""
        return self._page(markdown_table)

    def to_json(self) -> str:
        """Returns the document as JSON text, indented, with a trailing line feed."""
        return json.dumps(self.document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "BenchReport":
        """Reads a report from JSON text.

        Args:
            text: What `to_json` returned or the Android app shared.

        Returns:
            The report.

        Raises:
            ValueError: If the text is not JSON or breaks the schema.
        """
        try:
            document = strict_json.parse(text.encode("utf-8", "surrogatepass"), largest=LARGEST_BYTES)
        except ValueError as error:
            raise ValueError(f"BenchReport: the text is not JSON: {error}") from error
        return cls(document)

    def save(self, path: str | PathLike) -> None:
        """Writes the report as a JSON file, completely or not at all."""
        write_files({fspath(path): self.to_json().encode()})

    @classmethod
    def load(cls, path: str | PathLike) -> "BenchReport":
        """Reads a report from a JSON file; errors name the file."""
        try:
            with open(path, "rb") as file:
                content = file.read(LARGEST_BYTES + 1)
            try:
                text = content.decode("utf-8")
            except UnicodeDecodeError as error:
                raise ValueError(f"BenchReport: the text is not UTF-8: {error}.") from error
            return cls.from_json(text)
        except ValueError as error:
            raise ValueError(f"{fspath(path)}: {error}") from error

    def _page(self, table: Any) -> str:
        has_energy = _has_energy([self])
        rows = [_row(result, result["name"], has_energy) for result in self.results]
        parts = [setting_of(self.document), table(_header(has_energy), rows), *notes_of(self.document)]
        return "\n\n".join(parts)


def bench_table(reports: Sequence[BenchReport], markdown: bool = False) -> str:
    """Returns one table of several reports, such as those of a host and two phones.

    Args:
        reports: At least one report.
        markdown: Whether to write Markdown instead of aligned text.

    Returns:
        The table, with the device as its second column, and the notes of all reports.

    Raises:
        ValueError: If there is no report.

    Example:
        ```python
        from tfcompress.benchmarking.bench_report import BenchReport, bench_table

        print(bench_table([BenchReport.load("host.json"), BenchReport.load("phone.json")]))
        ```
    """
    if not reports:
        raise ValueError("bench_table: give at least one report. Received: none.")
    rows, has_energy = [], _has_energy(reports)
    for report in reports:
        device = report.document["device"]["name"]
        for result in report.results:
            name, *cells = _row(result, result["name"], has_energy)
            rows.append([name, device, result["accelerator"]["actual"], *cells])
    header = (_HEADER[0], "device", "on", *_header(has_energy)[1:])
    named = [(inline(report.document["device"]["name"]), report.document) for report in reports]
    notes = [f"{device}: {note}" for device, document in named for note in notes_of(document)]
    return "\n\n".join([(markdown_table if markdown else text_table)(header, rows), *notes])


def _has_energy(reports: Sequence[BenchReport]) -> bool:
    return any(energy_uj(result) is not None for report in reports for result in report.results)


def _header(has_energy: bool) -> tuple[str, ...]:
    return (*_HEADER, _ENERGY) if has_energy else _HEADER


def energy_uj(result: dict[str, Any]) -> float | None:
    """Returns the measured energy of one inference in microjoules; None where it was not measured.

    Args:
        result: One model's entry of a report.

    Example:
        >>> energy_uj({"energy": {"joules": 0.25, "source": "rapl", "reason": None}}), energy_uj({})
        (250000.0, None)
    """
    joules = result.get("energy", {}).get("joules")
    return None if joules is None else joules * 1e6


def _row(result: dict[str, Any], name: str, has_energy: bool) -> list[str]:
    latency = result["latency"]
    figures = [
        result["bytes"],
        float(result["init_us"]),
        float(result["first_us"]),
        *(float(latency[key]) for key in ("p50_us", "p90_us", "p99_us", "mean_us", "std_us")),
        result.get("cpu_us"),
        result["memory"]["peak_bytes"],
        latency["n"],
        *([energy_uj(result)] if has_energy else []),
    ]
    return [name, *(number(figure) for figure in figures)]


def setting_of(document: dict[str, Any]) -> str:
    """Returns in one line where and how a report was measured.

    Args:
        document: A report that fits the schema.

    Returns:
        Device, runtime, threads, mode and date.
    """
    device, protocol, runtime = (document[key] for key in ("device", "protocol", "runtime"))
    threads = sorted({result["threads"] for result in document["results"]})
    delegates = sorted({result["xnnpack"] for result in document["results"]})
    xnnpack = "mixed" if len(delegates) > 1 else ("on" if delegates[0] else "off")
    return inline(
        f"{device['name']}, {device['system']}, {device['machine']}, {device['cores']} cores; "
        f"{runtime['name']} {runtime['version']}, {'/'.join(map(str, threads))} thread(s), "
        f"XNNPACK {xnnpack}; {protocol['mode']}: at least {protocol['runs']} runs and "
        f"{protocol['min_seconds']:g} s each in {protocol['blocks']} block(s), "
        f"{document['created']}"
    )


def notes_of(document: dict[str, Any], memory: bool = True) -> list[str]:
    """Returns notes on the figures of a report: another accelerator, a hot device, memory not measured.

    Args:
        document: A report that fits the schema.
        memory: Whether memory is shown, so that missing figures need a note.

    Returns:
        Sentences.
    """
    notes = []
    for result in document["results"]:
        accelerator = result["accelerator"]
        if accelerator["actual"] != accelerator["requested"]:
            reason = accelerator.get("reason") or "no reason given"
            notes.append(
                f"{result['name']}: {accelerator['requested']} was asked for, "
                f"{accelerator['actual']} was used ({reason})."
            )
        if memory and result["memory"]["reason"]:
            notes.append(f"{result['name']}: memory not measured: {result['memory']['reason']}.")
        if result["latency"]["n"] < document["protocol"]["runs"]:
            notes.append(f"{result['name']}: stopped by max_seconds after {result['latency']['n']} runs.")
    conditions = document.get("conditions", {})
    hot = [key for key in ("thermal_before", "thermal_after") if conditions.get(key) in _HOT]
    if hot:
        said = ", ".join(f"{key.removeprefix('thermal_')}: {conditions[key]}" for key in hot)
        notes.append(f"The device was hot ({said}); the times are not those of a cool one.")
    if conditions.get("battery_saver_before") or conditions.get("battery_saver_after"):
        notes.append("Battery saver was on; the times are not those of normal use.")
    return [inline(note) for note in [*notes, *energy_notes(document)]]


def energy_notes(document: dict[str, Any]) -> list[str]:
    """Returns what measured energies are of, and once for each reason why there are none.

    Args:
        document: A report that fits the schema.

    Returns:
        Sentences; none for a report without a word on energy.
    """
    found = [result["energy"] for result in document["results"] if "energy" in result]
    sources = dict.fromkeys(each["source"] for each in found if each["joules"] is not None)
    reasons = dict.fromkeys(each["reason"] for each in found if each["joules"] is None and each["reason"])
    return [
        *(f"Energy ({_ENERGY} for each inference) is that of {_SOURCES[each]}." for each in sources if each),
        *(f"Measured energy is not available here: {reason}." for reason in reasons),
    ]
