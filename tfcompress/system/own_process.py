"""Runs a module of this package in a process of its own, so that a damaged file can crash only that process."""

import os
import subprocess
import sys


def run_module(module: str, argument: str, seconds: float) -> subprocess.CompletedProcess:
    """Runs a module as `python -m module argument` does and waits for it.

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
        [*command_of(module), argument],
        capture_output=True,
        timeout=seconds,
        env={**os.environ, "PYTHONPATH": search},
        check=False,
    )


def command_of(module: str) -> list[str]:
    """Returns the command that runs a module as a program, without the current folder in front of the packages.

    From Python 3.11 on `python -P -m` does this; Python 3.10 does not know it.
    """
    clean = "import runpy, sys; sys.path[:] = filter(None, sys.path)"  # an empty entry is the current folder
    return [sys.executable, "-c", f"{clean}; runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"]
