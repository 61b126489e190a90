"""Every architecture of `keras.applications`: half of its channels cut, and converted to int8.

Random weights, BatchNormalization statistics drawn around those of a batch, logits. One child process at a time for
each architecture and arm; rows that `--json` already holds are not measured again. Pictures have the side of `--size`
or, where the architecture can't be built so small, the smallest it takes (Inception 75, Xception 71).

    python tests/bench/applications.py [--only NAME...] [--arm exact|int8|both] [--size 96] [--json FILE]

exact: every group of channels loses half of them; "difference" is max|a - b| / max|b| of the logits of the smaller
model and of the whole one with the readers of these channels set to zero. int8: `tfc.convert`, ten pictures to
calibrate with; "error" is that of the file's logits against the float model's, root of the mean square.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

NAMES = (
    "MobileNet MobileNetV2 MobileNetV3Small MobileNetV3Large NASNetMobile EfficientNetB0 EfficientNetV2B0 DenseNet121 "
    "ResNet50 ResNet50V2 InceptionV3 Xception ConvNeXtTiny EfficientNetB1 EfficientNetB2 EfficientNetB3 "
    "EfficientNetV2B1 EfficientNetV2B2 EfficientNetV2B3 DenseNet169 DenseNet201 ResNet101 ResNet101V2 ResNet152 "
    "ResNet152V2 EfficientNetB4 EfficientNetV2S InceptionResNetV2 ConvNeXtSmall EfficientNetB5 EfficientNetB6 "
    "EfficientNetV2M VGG16 VGG19 EfficientNetB7 NASNetLarge ConvNeXtBase EfficientNetV2L ConvNeXtLarge ConvNeXtXLarge"
).split()  # small ones first
SMALLEST = {"InceptionV3": 75, "InceptionResNetV2": 75, "Xception": 71}
LIMIT = 1e-5
COLUMNS = {
    "exact": ("parameters", "parameters_after", "macs", "macs_after", "difference", "analysis_s", "seconds", "mib"),
    "int8": ("result", "bytes", "operations", "error", "largest_gap", "seconds", "mib"),
}


def built(name: str, size: int, seed: int = 0):
    """Returns the architecture with random weights and statistics, and ten pictures for it.

    Args:
        name: Its name in `keras.applications`.
        size: Side of the pictures in pixels.
        seed: Seed of weights, statistics and pictures.
    """
    import keras
    import numpy as np
    from shaken_norms import shake_norms

    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    side = max(size, SMALLEST.get(name, 32))
    model = getattr(keras.applications, name)(
        weights=None, input_shape=(side, side, 3), classifier_activation=None, classes=100
    )
    x = _pictures(rng, side)
    shake_norms(model, x, rng, 0.3, 0.5, 1.5)
    for op in model.layers:
        for kind in ("gamma", "beta", "bias"):
            v = getattr(op, kind, None)  # by attribute: Keras gives the gamma of ConvNeXt's LayerScale no name
            if isinstance(v, keras.Variable):
                v.assign(rng.uniform(0.5, 1.5, v.shape) if kind == "gamma" else rng.normal(0.0, 0.2, v.shape))
    return model, x


def _pictures(rng, side: int, count: int = 10):
    """Smooth pictures of values 0..255."""
    import numpy as np

    coarse = rng.uniform(0.0, 255.0, (count, 8, 8, 3))
    at = np.minimum(np.arange(side) * 8 // side, 7)
    return np.clip(coarse[:, at][:, :, at] + rng.normal(0.0, 20.0, (count, side, side, 3)), 0.0, 255.0).astype(
        "float32"
    )


def half(channels, seed: int = 0):
    """Returns the groups to cut: half of those that the same operations make, drawn at random.

    Args:
        channels: Result of `groups(model)`.
        seed: Seed of the draw.
    """
    import numpy as np

    rng, makers = np.random.default_rng(seed), {}
    for path, made in channels.made_by().items():
        for group in np.unique(made).tolist():
            makers.setdefault(group, []).append(path)
    together: dict[tuple, list[int]] = {}
    for group in channels.groups.tolist():
        together.setdefault(tuple(makers.get(group, ())), []).append(group)
    dead = [rng.choice(found, len(found) // 2, replace=False) for found in together.values()]
    return np.sort(np.concatenate(dead)) if dead else np.array([], int)


def exact(name: str, size: int) -> dict:
    """Cuts half of the channels and compares."""
    import numpy as np

    from tfcompress.channels.dependency import groups
    from tfcompress.channels.shrink import shrink, zeroed
    from tfcompress.evaluate.macs import macs

    model, x = built(name, size)
    began = time.perf_counter()
    channels = groups(model)
    analysis = time.perf_counter() - began
    dead = half(channels)
    began = time.perf_counter()
    small = shrink(model, channels, dead)
    seconds = time.perf_counter() - began
    facts = {
        "parameters": model.count_params(),
        "parameters_after": small.count_params(),
        "macs": macs(model),
        "macs_after": macs(small),
        "analysis_s": analysis,
        "groups": len(channels.groups),
        "kept": channels.kept(),
    }
    a = np.asarray(small(x[:2], training=False))
    del small
    b = np.asarray(zeroed(model, channels, dead)(x[:2], training=False))
    whole = np.asarray(model(x[:2], training=False))
    difference = float(np.abs(a - b).max() / np.abs(b).max())
    changed = float(np.abs(whole - b).max() / np.abs(whole).max())
    done = {"result": "PASS" if difference <= LIMIT and changed > 0.01 else "FAIL"}
    return {**done, **facts, "difference": difference, "changed": changed, "seconds": seconds}


def int8(name: str, size: int) -> dict:
    """Converts to int8 and compares the file with the float model."""
    from collections import Counter

    import numpy as np

    import tfcompress as tfc

    model, x = built(name, size)
    began = time.perf_counter()
    try:
        artifact = tfc.convert(model, calibration=x)
    except tfc.NotFullyInteger as error:
        counts = Counter(f.op for f in error.float_ops)
        return {"result": " ".join(f"{n} {op}" for op, n in counts.items()), "seconds": time.perf_counter() - began}
    seconds = time.perf_counter() - began
    plain, got = model.predict(x, verbose=0), artifact.predict(x)
    fast = artifact.metadata["parity"][0] if "parity" in artifact.metadata else {}
    return {
        "result": "PASS" if artifact.is_integer else "FAIL",
        "bytes": artifact.size,
        "operations": len(artifact.model.graphs[0].ops),
        "error": float(np.sqrt(np.mean((got - plain) ** 2) / np.mean(plain**2))),
        "largest_gap": fast.get("largest_gap"),
        "notes": artifact.metadata["notes"],
        "seconds": seconds,
    }


def child(name: str, arm: str, size: int) -> dict:
    """Measures one architecture; an error becomes the result."""
    began = time.perf_counter()
    try:
        found = {"exact": exact, "int8": int8}[arm](name, size)
    except Exception as error:  # one architecture must not stop the others
        found = {"result": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}
    return {**found, "total_s": time.perf_counter() - began, "mib": peak_mib()}


def peak_mib() -> float:
    """Largest resident memory of this process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(name: str, arm: str, size: int, timeout: float) -> dict:
    """Runs a child process and returns its row."""
    command = [sys.executable, __file__, "--child", name, "--arm", arm, "--size", str(size)]
    row = {"name": name, "arm": arm, "size": max(size, SMALLEST.get(name, 32))}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return {**row, "result": f"timeout after {timeout:g} s"}
    if done.returncode:
        return {**row, "result": f"ended with {done.returncode}: {done.stderr.strip()[-200:]}"}
    return {**row, **json.loads(done.stdout.splitlines()[-1])}


def table(rows: list[dict], arm: str) -> str:
    """Returns the rows of one arm as a Markdown table, with a line that counts."""
    columns = ("name", "size", *COLUMNS[arm]) if arm == "int8" else ("name", "size", "result", *COLUMNS[arm])
    mine = [r for r in rows if r["arm"] == arm]
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(_cell(c, r.get(c)) for c in columns) + " |" for r in mine]
    passed = sum(r["result"] == "PASS" for r in mine)
    return "\n".join([*lines, "", f"{arm}: {passed} of {len(mine)} PASS"])


def _cell(column: str, value) -> str:
    if value is None:
        return ""
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return {"difference": "{:.1e}", "error": "{:.3f}", "mib": "{:,.0f}"}.get(column, "{:.2f}").format(value)
    return str(value)


def saved(path: str | None, rows: list[dict]) -> None:
    """Writes the rows, so that a broken-off run goes on where it was."""
    if path:
        with open(f"{path}.new", "w") as file:
            json.dump(rows, file, indent=1)
        os.replace(f"{path}.new", path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=NAMES, choices=NAMES, metavar="NAME")
    parser.add_argument("--arm", choices=("exact", "int8", "both"), default="both")
    parser.add_argument("--size", type=int, default=96, help="side of the pictures in pixels")
    parser.add_argument("--timeout", type=float, default=1800.0, help="seconds for a child process")
    parser.add_argument("--json", help="file with the rows; those in it are not measured again")
    parser.add_argument("--again", action="store_true", help="measure rows again that are there and did not pass")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(child(args.child, args.arm, args.size)))
        return
    rows = []
    if args.json and os.path.exists(args.json):
        with open(args.json) as file:
            rows = json.load(file)
    if args.again:
        rows = [r for r in rows if r["result"] == "PASS"]
    arms = ("exact", "int8") if args.arm == "both" else (args.arm,)
    there = {(r["name"], r["arm"]) for r in rows}
    for name, arm in ((n, a) for n in args.only for a in arms):
        if (name, arm) not in there:
            print(f"{arm} {name} ...", file=sys.stderr, flush=True)
            rows.append(measured(name, arm, args.size, args.timeout))
            saved(args.json, rows)
            print(f"{arm} {name}: {rows[-1]['result']}", file=sys.stderr, flush=True)
    for arm in arms:
        print(table(rows, arm) + "\n", flush=True)


if __name__ == "__main__":
    main()
