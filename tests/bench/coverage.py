"""What people build, through every mode: int8 beside stock TensorFlow's, other modes, time, training, channels cut.

The nets are small, of random weights: KerasHub's backbones (hub_*), the kinds of Keras' code examples (io_*), layers
and models of one's own (own_*, composite_*), and nets of Keras' layers alone. The nets lie in `nets/`, a function each;
constant weights are moved and BatchNormalization statistics drawn around those of a batch. One child process at a time
for each net, started again behind a phase that killed it; phases that `--json` already holds are not measured again.

    python tests/bench/coverage.py [--only NAME...] [--phases PHASE...] [--json FILE] [--no-training]

Phases: build (the net runs on its samples), int8, stock (TFLiteConverter with the same samples, batch 1), modes
(float32, float16, dynamic, int16x8), time (ours, stock on the frozen function and stock as its guide has it, in turns,
median of 3), fit (Prune + Cluster + Quantize for two steps, what they promise read off the kernels and the file),
channels (PruneChannels(0.3), exact or the reasons).
"error" is that of the file against the float model, root mean square as a fraction of the spread of each output (the
worst output counts). A refusal is followed by the remedy it names. NAME may end in `*`.

`keras-hub` is needed for the nets named hub_*; they are left out where it is not installed.
"""

import argparse
import fnmatch
import importlib.util
import json
import os
import subprocess
import sys
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, os.path.dirname(__file__))

from coverage_phases import PHASES, measured
from coverage_table import table

MARK = "@row "


def child(name: str, phases: list[str]) -> None:
    """Measures phases of one net and prints a line for each."""
    warnings.simplefilter("ignore")
    for phase in phases:
        print(MARK + json.dumps({"phase": phase, **measured(name, phase)}), flush=True)


def in_child(name: str, phases: list[str], timeout: float) -> tuple[list[dict], str]:
    """Runs a child process and returns the lines of the phases it finished, and why it ended before the last."""
    command = [sys.executable, __file__, "--child", name, "--phases", *phases]
    why = ""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
        out = done.stdout
        if done.returncode:
            why = f"DIED with {done.returncode}: {' '.join(done.stderr.split())[-200:]}"
    except subprocess.TimeoutExpired as late:
        out = (late.stdout or b"").decode() if isinstance(late.stdout, bytes | None) else late.stdout
        why = f"timeout after {timeout:g} s"
    return [json.loads(line[len(MARK) :]) for line in out.splitlines() if line.startswith(MARK)], why


def extended(row: dict, phases: list[str], timeout: float) -> dict:
    """Measures the phases that a row lacks."""
    left = [p for p in phases if p not in row.setdefault("done", [])]
    while left:
        found, why = in_child(row["name"], left, timeout)
        for part in found:
            row["done"].append(part.pop("phase"))
            row |= part
        left = left[len(found) :]
        if left and not why:
            why = "ended without a word"
        if left and why:
            row[left[0]] = row.setdefault("died", {})[left[0]] = why
            row["done"].append(left.pop(0))
    return row


def chosen(only, names: list[str]) -> list[str]:
    """The names that the patterns of `--only` choose."""
    if not only:
        return names
    lost = [p for p in only if not fnmatch.filter(names, p)]
    if lost:
        raise SystemExit(f"--only: no net is named {', '.join(lost)}. The nets: {', '.join(names)}")
    return [n for n in names if any(fnmatch.fnmatch(n, p) for p in only)]


def read(path) -> dict[str, dict]:
    """Rows of an earlier run, by name."""
    if not path or not os.path.exists(path):
        return {}
    with open(path) as file:
        return {row["name"]: row for row in json.load(file)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="NAME")
    parser.add_argument("--phases", nargs="+", choices=PHASES, default=list(PHASES))
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds for one net")
    parser.add_argument("--no-training", action="store_true", help="without the phases fit and channels")
    parser.add_argument("--json", help="file with the rows; phases in it are not measured again")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.child, args.phases)
        return
    from nets import NETS

    has_hub = importlib.util.find_spec("keras_hub") is not None
    names = chosen(args.only, [n for n in NETS if has_hub or not n.startswith("hub_")])
    phases = [p for p in args.phases if not (args.no_training and p in ("fit", "channels"))]
    rows = read(args.json)
    for name in names:
        before = rows.get(name, {"name": name})
        if all(p in before.get("done", []) for p in phases):
            continue
        rows[name] = extended(before, phases, args.timeout)
        said = " | ".join(str(rows[name].get(p, ""))[:110] for p in phases)
        print(f"{name}: {said}", file=sys.stderr, flush=True)
        if args.json:
            with open(args.json, "w") as file:
                json.dump(list(rows.values()), file, indent=1)
    print(table([rows[n] for n in names]))


if __name__ == "__main__":
    main()
