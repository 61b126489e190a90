"""Runs a module of this package in a process of its own, so that a damaged file can crash only that process."""

import os
import subprocess
import sys


def run_module(module: str, argument: str, seconds: float) -> subprocess.CompletedProcess:
    """Runs `python -m module argument` and waits for it.

    Args:
        module: Name of the module.
        argument: Its only argument.
        seconds: Time limit.

    Returns:
        The finished process, with its output as bytes.

    Raises:
        OSError: If no process can be started.
        subprocess.TimeoutExpired: If it did not end in that time; it is killed then.
    """
    if not sys.executable:
        raise OSError("there is no Python executable to start a process with")
    # It searches packages where this process does; an empty entry of the path is the current folder.
    search = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    return subprocess.run(
        [sys.executable, "-P", "-m", module, argument],
        capture_output=True,
        timeout=seconds,
        env={**os.environ, "PYTHONPATH": search},
        check=False,
    )
