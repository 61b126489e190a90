"""Measures the peak memory of one model: the growth of a process that loads and runs it alone.

A short-lived child process imports the runtime, notes its resident memory, loads the model from a
file, runs it, and reports its peak; `python -m tfcompress.benchmarking.memory` is that process.
"""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from tfcompress.system.own_process import command_of

RUNS = 5


@dataclass(frozen=True)
class PeakMemory:
    """Peak memory of a model, as `peak_memory` measures it.

    Attributes:
        peak_bytes: Growth of the peak resident memory through the model: its file, its tensors, its
            repacked weights and the pages of the runtime it makes use of. None if not measured.
        process_bytes: Peak resident memory of the whole child process. None if not measured.
        reason: Why the values are None; None if they were measured.
    """

    peak_bytes: int | None
    process_bytes: int | None
    reason: str | None = None


def peak_memory(content: bytes, threads: int = 1, xnnpack: bool = True, timeout_seconds: float = 120.0) -> PeakMemory:
    """Measures the peak memory of a `.tflite` model in a separate process.

    Only resident memory is counted, as the operating system reports it. A model that crashes the
    runtime ends the child, not the caller.

    Args:
        content: Bytes of the model.
        threads: Threads of the interpreter.
        xnnpack: Whether the XNNPACK delegate may be used.
        timeout_seconds: Time after which the child is ended.

    Returns:
        The measured bytes, or None with the reason. Nothing is raised for a model that can't run.

    Example:
        >>> result = peak_memory(b"not a model")
        >>> result.peak_bytes is None, bool(result.reason)
        (True, True)
    """
    if not sys.executable:
        return PeakMemory(None, None, "there is no Python executable to start a process with")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(content)
        order = json.dumps({"path": str(path), "threads": threads, "xnnpack": xnnpack})
        # The child finds the same packages as this process, however they were found here; an empty
        # entry of sys.path is the current folder.
        search = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        environment = {**os.environ, "PYTHONPATH": search}
        try:
            child = subprocess.run(
                [*command_of(__name__), order],
                capture_output=True,
                text=True,
                timeout=timeout_seconds,
                env=environment,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return PeakMemory(None, None, f"the run took more than {timeout_seconds:g} s")
        except OSError as error:
            return PeakMemory(None, None, f"no process could be started: {error}")
    return _read(child)


def _read(child: subprocess.CompletedProcess) -> PeakMemory:
    if child.returncode:
        lines = [line for line in child.stderr.splitlines() if line.strip()]
        last = lines[-1][:300] if lines else "no message"
        return PeakMemory(None, None, f"the process ended with exit code {child.returncode}: {last}")
    return PeakMemory(**json.loads(child.stdout.splitlines()[-1]))


def _measure(path: str, threads: int, xnnpack: bool) -> PeakMemory:
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    before = _peak_resident_bytes(reset=True)
    if before is None:
        return PeakMemory(None, None, f"peak memory is not available on {sys.platform}")
    kind = OpResolverType.AUTO if xnnpack else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(path, num_threads=threads, experimental_op_resolver_type=kind)
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], np.zeros(detail["shape"], detail["dtype"]))
    for _ in range(RUNS):
        interpreter.invoke()
    after = _peak_resident_bytes(reset=False)
    return PeakMemory(max(0, after - before), after)


def _peak_resident_bytes(reset: bool) -> int | None:
    """Returns the peak resident bytes of this process, since the last reset where the system can reset it."""
    if sys.platform.startswith("linux"):
        if reset:
            try:
                # Value 5 sets the peak back to the memory resident now (Linux, proc(5)).
                Path("/proc/self/clear_refs").write_text("5")
            except OSError:
                pass  # Then the peak is that of the whole process, which importing did not exceed.
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(_measure(**json.loads(sys.argv[1])))))
