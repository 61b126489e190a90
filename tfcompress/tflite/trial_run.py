"""Runs `.tflite` files in a separate process, so that a file that crashes the runtime does not end the caller.

`python -m tfcompress.tflite.trial_run FOLDER` is that process; the folder holds files, inputs and what to run.
"""

import json
import pathlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfcompress.system.own_process import run_module

# A damaged file may loop without end; the slowest kernels run a thousand million products in about a second.
LONGEST_SECONDS = 120.0


@dataclass(frozen=True, eq=False)
class Trial:
    """Result of one run.

    Attributes:
        outputs: The outputs of the file; None if it failed.
        reason: Why it failed.
        has_crashed: Whether it crashed the process or ran too long.
    """

    outputs: list[np.ndarray] | None
    reason: str = ""
    has_crashed: bool = False


def run_apart(
    files: Sequence[bytes],
    inputs: Sequence[np.ndarray],
    ways: Sequence[bool],
    threads: int = 1,
    seconds: float | None = None,
) -> list[list[Trial]]:
    """Runs files on the same inputs in a separate process.

    Args:
        files: Bytes of files that take the same inputs.
        inputs: One array for each input, of the input's own type, (n, ...).
        ways: With XNNPACK (True) or without; the files run in each of these ways.
        threads: Threads of the interpreter.
        seconds: Time for one process, `LONGEST_SECONDS` if None.

    Returns:
        For each file, a trial for each way.

    Raises:
        OSError: If no process can be started.
    """
    orders = [(number, way) for number in range(len(files)) for way in ways]
    found: dict[tuple[int, bool], Trial] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for number, content in enumerate(files):
            (folder / f"{number}.tflite").write_bytes(content)
        np.savez(folder / "inputs.npz", *inputs)
        while len(found) < len(orders):
            left = [order for order in orders if order not in found]
            (folder / "orders.json").write_text(json.dumps({"orders": left, "threads": threads}))
            end = _child(folder, LONGEST_SECONDS if seconds is None else seconds)
            done = {order: _read(folder, order) for order in left if _report(folder, order).exists()}
            if len(done) < len(left):  # the process ended at the first run without a report
                order = next(order for order in left if order not in done)
                done[order] = Trial(None, end, has_crashed=True)
            found |= done
    return [[found[number, way] for way in ways] for number in range(len(files))]


def _child(folder: pathlib.Path, seconds: float) -> str:
    """Starts the process and waits for it; returns how it ended."""
    try:
        child = run_module(__name__, str(folder), seconds)
    except subprocess.TimeoutExpired:
        return f"it did not end in {seconds:g} s"
    if child.returncode < 0:
        return f"it ended its process with {_signal(-child.returncode)}"
    lines = child.stderr.decode("utf-8", "replace").strip().splitlines()
    return f"its process ended with exit code {child.returncode}: {lines[-1][:300] if lines else 'no message'}"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _report(folder: pathlib.Path, order: tuple[int, bool]) -> pathlib.Path:
    return folder / f"{order[0]}_{int(order[1])}.json"


def _read(folder: pathlib.Path, order: tuple[int, bool]) -> Trial:
    report = json.loads(_report(folder, order).read_text())
    if report["reason"]:
        return Trial(None, report["reason"])
    with np.load(folder / f"{order[0]}_{int(order[1])}.npz", allow_pickle=False) as arrays:
        return Trial([arrays[f"arr_{k}"] for k in range(report["outputs"])])


def _serve(folder: pathlib.Path) -> None:
    work = json.loads((folder / "orders.json").read_text())
    with np.load(folder / "inputs.npz", allow_pickle=False) as arrays:
        inputs = [arrays[f"arr_{k}"] for k in range(len(arrays.files))]
    for number, way in work["orders"]:
        report = {"reason": "", "outputs": 0}
        try:
            outputs = _run((folder / f"{number}.tflite").read_bytes(), inputs, way, work["threads"])
            np.savez(folder / f"{number}_{int(way)}.npz", *outputs)
            report["outputs"] = len(outputs)
        except (ValueError, RuntimeError, MemoryError) as error:
            report["reason"] = (str(error).splitlines() or [type(error).__name__])[0]
        # written last: a report says that the run was survived
        _report(folder, (number, way)).write_text(json.dumps(report))


def _run(content: bytes, inputs: list[np.ndarray], xnnpack: bool, threads: int) -> list[np.ndarray]:
    from tfcompress.tflite.runner import Runner
    from tfcompress.tflite.schema.flatbuffer import read
    from tfcompress.tflite.tensor_spec import io_specs

    model = read(content)
    outputs = Runner(content, model, *io_specs(model), threads, xnnpack).run(inputs)
    return [each.astype(np.bytes_) if each.dtype == object else each for each in outputs]  # strings


if __name__ == "__main__":
    _serve(pathlib.Path(sys.argv[1]))
