"""Measures how long each command takes until it says something, and until its help is there.

    python tests/bench/first_output.py [times]

Each command is started that many times (3) on files that are not there; the shortest time counts. Beside it stands the
processor time until then, which a busy machine does not change (Linux). Aim: below a second for all.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

from tfcompress.cli.entry import COMMANDS
from tfcompress.text.table import text_table

GIVEN = {
    "android": ["--models=none", "--out=assets"],
    "bench": ["none.tflite"],
    "compress": ["none.keras", "--data=none.npz"],
    "convert": ["none.keras"],
    "demo": ["--data=none"],
    "inspect": ["none.keras"],
    "keys": ["old", "--out=keys"],
    "monitor": ["none.json", "--reference=none"],
    "report": ["none.keras", "none.tflite", "--data=none.npz"],
    "slim": ["none.tflite", "--out=slim.tflite"],
    "split": ["none.keras", "--out=parts"],
}


def first(arguments: list[str], folder: str) -> tuple[float, float]:
    """Returns the seconds from the start of a command to its first byte, on either stream, and processor seconds."""
    command = [sys.executable, "-m", "tfcompress", *arguments]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=folder) as process:
        process.stdout.read(1)
        seconds = time.perf_counter() - began
        # user and system ticks, behind the name in brackets
        ticks = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        process.kill()
    return seconds, sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Prints the table; returns 1 if a command took a second or more."""
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with tempfile.TemporaryDirectory() as folder:
        rows = {}
        for name in COMMANDS:
            asked = [name, *GIVEN[name]], [name, "--help"]
            rows[name] = [found for given in asked for found in min(first(given, folder) for _ in range(times))]
    cells = [[name, *(f"{seconds:.2f}" for seconds in row)] for name, row in rows.items()]
    print(text_table(["command", "first output, s", "processor", "help, s", "processor"], cells))
    return int(any(seconds >= 1 for row in rows.values() for seconds in row))


if __name__ == "__main__":
    sys.exit(main())
