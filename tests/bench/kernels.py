"""The kernels of several runtimes with weights of 8, 4 and 2 bits, against NumPy: the source of the kernel table.

    python tests/bench/kernels.py [--only TEXT] PYTHON:MODULE [PYTHON:MODULE ...]

Each argument is an interpreter of Python and the module in it that has `Interpreter`, such as
`python:ai_edge_litert.interpreter`, `old/bin/python:tflite_runtime.interpreter` or, for TensorFlow's,
`old/bin/python:tensorflow.lite.python.interpreter`. A cell shows the plain kernel, then XNNPACK: `right`, `fast`
(right, and the delegate took it), `WRONG` (an answer that is not NumPy's) or `error`.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "fixtures"))

import run_files  # noqa: E402
from one_op_files import OneOpFile, answers, cases  # noqa: E402


def word(file, answer, is_delegated):
    if answer is None:
        return "error"
    if not file.is_right(answer):
        return "WRONG"
    return "fast" if is_delegated else "right"


def column(files, runtime):
    """Cells of one runtime by case."""
    python, module = runtime.rsplit(":", 1)
    with tempfile.TemporaryDirectory() as folder:
        paths = {case: pathlib.Path(folder, f"{number}.tflite") for number, case in enumerate(files)}
        for case, path in paths.items():
            files[case].save(path)
        run = [python, str(pathlib.Path(run_files.__file__)), module, folder]
        subprocess.run(run, check=True, stderr=subprocess.DEVNULL)
        return {case: "/".join(word(files[case], *found) for found in answers(path).values())
                for case, path in paths.items()}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runtimes", nargs="+")
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    files = {case: OneOpFile(case) for case in cases() if args.only in str(case)}
    columns = [column(files, runtime) for runtime in args.runtimes]
    for number, runtime in enumerate(args.runtimes, 1):
        print(f"{number}: {runtime}")
    print(f"{'':76}", *(f"{number:<12}" for number in range(1, len(columns) + 1)))
    for case in files:
        print(f"{case!s:76}", *(f"{each[case]:12}" for each in columns))


if __name__ == "__main__":
    main()
