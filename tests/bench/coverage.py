"""What people build, through every mode: int8 beside stock TensorFlow's, QAT, and a third of the channels cut.

Random weights, BatchNormalization statistics drawn around those of a batch. One child process at a time for each net;
rows that `--json` already holds are not measured again. "error" is that of the file against the float model, root mean
square as a fraction of the spread of each output (the worst output counts); "stock" the same for TFLiteConverter with
the same samples, batch 1. A refusal is followed by the remedy it names, and counts as PASS where that works.

    python tests/bench/coverage.py [--only NAME...] [--json FILE] [--no-training]

`keras-hub` is needed for the nets named hub_*; they are left out where it is not installed.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

sys.path.insert(0, os.path.dirname(__file__))

MODES = ("float32", "float16", "dynamic", "int16x8")
# Text that only TensorFlow writes; a message of ours may quote it behind its own.
RAW = ("tf.", "tfl.", "READ_VARIABLE", "mlir", "ConverterError", "untracked", "assert", "delegate", "<unknown>:0")


def built(name, seed=0):
    """Returns a net with shaken statistics, and its samples."""
    import keras
    from coverage_nets import NETS
    from shaken_norms import shake_norms

    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    model, x = NETS[name](rng)
    shake_norms(model, x, rng, 0.2, 0.6, 1.4)
    return model, x


def structured(x):
    """Inputs as a dict, a list or one array, and their number."""
    first = next(iter(x.values())) if isinstance(x, dict) else x[0] if isinstance(x, list) else x
    return len(first)


def worst_error(got, wanted) -> float:
    """Error of the worst output, as a fraction of its spread."""
    errors = []
    for a, b in zip(got, wanted, strict=True):
        a, b = np.asarray(a, np.float64).reshape(np.shape(b)), np.asarray(b)
        if b.dtype.kind != "f":
            errors.append(float(np.mean(a != b)))
            continue
        rows = b.astype(np.float64).reshape(-1, b.shape[-1])
        spread = np.sqrt(np.mean(rows.var(axis=0))) or 1.0
        errors.append(float(np.sqrt(np.mean((a - b) ** 2)) / spread))
    return max(errors)


def answers(model, x):
    """Outputs of the float model, flat."""
    import keras

    return [np.asarray(y) for y in keras.tree.flatten(model.predict(x, verbose=0))]


def of_file(artifact, x, model):
    """Outputs of a file in the model's order."""

    got = artifact.predict(x)
    if not isinstance(got, dict):
        return [got]
    names = list(getattr(model, "output_names", []))
    return [got[n] for n in names] if set(names) == set(got) else list(got.values())


def stock(model, x):
    """Error and float operations of TFLiteConverter's int8 file from the same samples."""
    import keras
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    from tfcompress.graph.keras_private import input_specs
    from tfcompress.system.silence import quiet
    from tfcompress.tflite.artifact import Artifact

    structure = input_specs(model, batch=1)
    specs = keras.tree.flatten(structure)

    def call(*tensors):
        outputs = model(keras.tree.pack_sequence_as(structure, list(tensors)), training=False)
        return keras.tree.flatten(outputs)

    function = convert_variables_to_constants_v2(tf.function(call).get_concrete_function(*specs))
    rows = [np.asarray(a) for a in keras.tree.flatten(x)]
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([a[k : k + 1] for a in rows] for k in range(len(rows[0])))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.lite.OpsSet.TFLITE_BUILTINS]
    with quiet():
        content = converter.convert()
    artifact = Artifact(content)
    interpreter = tf.lite.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    order = sorted(range(len(inputs)), key=lambda k: inputs[k]["index"])
    found = [[] for _ in outputs]
    for k in range(len(rows[0])):
        for place, at in enumerate(order):
            interpreter.set_tensor(inputs[at]["index"], rows[place][k : k + 1].astype(inputs[at]["dtype"]))
        interpreter.invoke()
        for number, detail in enumerate(outputs):
            found[number].append(interpreter.get_tensor(detail["index"]))
    got = [np.concatenate(f) for f in found]
    wanted = answers(model, x)
    if len(got) > 1:  # the stock file may list outputs in another order
        got = [min(got, key=lambda g, w=w: worst_error([g], [w]) if g.size == w.size else 1e9) for w in wanted]
    return worst_error(got, wanted), len(artifact.float_ops())


def text_of(error) -> str:
    """One line of an error."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:240]}"


def is_raw(error) -> bool:
    """Whether a message is TensorFlow's own text, or no error class of ours or Python's ValueError."""
    head = " ".join(str(error).split())[:80]
    return not isinstance(error, ValueError | TypeError) or any(word in head for word in RAW)


def int8(model, x) -> dict:
    """Converts, and follows the remedy of a refusal."""
    import tfcompress as tfc

    began = time.perf_counter()
    try:
        artifact = tfc.convert(model, calibration=x)
        result = "PASS" if artifact.is_integer else "FAIL: float operations"
    except tfc.NotFullyInteger as error:
        names = sorted({f.op for f in error.float_ops})
        try:
            artifact = tfc.convert(model, calibration=x, allow_float=names)
            result = f"PASS by allow_float={names}"
        except Exception as second:
            return {"int8": f"FAIL: {text_of(error)}; then {text_of(second)}", "raw": is_raw(second)}
    except Exception as error:
        return {"int8": f"refused: {text_of(error)}", "raw": is_raw(error)}
    seconds = time.perf_counter() - began
    error = worst_error(of_file(artifact, x, model), answers(model, x))
    parity = artifact.metadata.get("parity", [{}])[0].get("largest_gap")
    said = artifact.verdict()
    return {"int8": result, "error": error, "gap": parity, "seconds": seconds, "verdict": said, "bytes": artifact.size}


def other_modes(model, x) -> dict:
    """Converts in every other mode."""
    import tfcompress as tfc

    found, raw = {}, False
    for mode in MODES:
        try:
            artifact = tfc.convert(model, mode, calibration=x)
            found[mode] = worst_error(of_file(artifact, x, model), answers(model, x))
        except Exception as error:
            found[mode] = text_of(error)
            raw |= is_raw(error)
    return {"modes": found, "raw_modes": raw}


def trained(name) -> str:
    """Prunes, clusters and quantizes in a short fit; the laws are read off the kernels and the file."""
    import tfcompress as tfc

    model, x = built(name)
    wanted = answers(model, x)
    y = wanted if len(wanted) > 1 else wanted[0]
    if any(w.dtype.kind != "f" for w in wanted):
        return "no loss for integer outputs"
    model.compile("sgd", ["mse"] * len(wanted) if len(wanted) > 1 else "mse", jit_compile=False)
    model.optimizer.learning_rate = 1e-3
    compression = tfc.Compression([tfc.Prune(0.5), tfc.Cluster(16), tfc.Quantize("int8")], verbose=0)
    try:
        model.fit(x, y, epochs=2, batch_size=8, verbose=0, callbacks=[compression])
    except ValueError as error:
        return f"refused: {text_of(error)}"
    bad = [c.path for c in compression.state.chains() if _breaks(np.asarray(c.variable))]
    try:
        artifact = compression.convert(calibration=x)
    except ValueError as error:
        return f"trained, {len(bad)} kernels off; then {text_of(error)}"
    gap = artifact.metadata["parity"][0]["largest_gap"]
    return f"{'PASS' if not bad and artifact.is_integer else 'FAIL'} gap {gap:.1f}"


def _breaks(kernel) -> bool:
    zeros = np.count_nonzero(kernel == 0)
    return zeros < round(0.5 * kernel.size) or np.unique(kernel).size > 17


def cut(name) -> str:
    """Cuts a third of the channels and compares with the model in which nobody reads them."""
    import tfcompress as tfc
    from tfcompress.channels.dependency import groups
    from tfcompress.channels.shrink import shrink, zeroed

    model, x = built(name)
    try:
        channels = groups(model)
        small = tfc.PruneChannels(0.3, round_to=1).apply(model)
        if small.count_params() == model.count_params():
            return "nothing to cut"
        dead = channels.groups[:: max(len(channels.groups) // 3, 2)] if len(channels.groups) else []
        try:
            a, b = answers(shrink(model, channels, dead), x), answers(zeroed(model, channels, dead), x)
            gap = max(np.abs(p - q).max() / max(np.abs(q).max(), 1e-9) for p, q in zip(a, b, strict=True))
            law = f"{gap:.0e}"
        except ValueError:
            law = "-"
        return f"{model.count_params()}->{small.count_params()}, {law}"
    except ValueError as error:
        return f"refused: {text_of(error)}"


def child(name: str, training: bool) -> dict:
    """Measures one net; an error becomes the result."""
    warnings.simplefilter("ignore")
    try:
        model, x = built(name)
    except Exception as error:
        return {"int8": f"not built: {text_of(error)}"}
    row = {"parameters": model.count_params(), **int8(model, x)}
    row |= other_modes(model, x)
    for key, work in (("qat", trained), ("channels", cut)) if training else ():
        try:
            row[key] = work(name)
        except Exception as error:
            row[key] = f"RAW {text_of(error)}"
    return row


def stock_child(name: str) -> dict:
    """Measures the stock converter on one net."""
    warnings.simplefilter("ignore")
    try:
        error, floats = stock(*built(name))
        return {"stock": error, "stock_float": floats}
    except Exception as error:
        return {"stock_failed": text_of(error)}


def measured(name: str, timeout: float, training: bool) -> dict:
    """Runs two child processes, ours and the stock converter, which dies of some nets, and returns the row."""
    row = {"name": name}
    for arm in ("--child", "--stock"):
        command = [sys.executable, __file__, arm, name, *([] if training else ["--no-training"])]
        key = "int8" if arm == "--child" else "stock_failed"
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            row[key] = f"timeout after {timeout:g} s"
            continue
        if done.returncode:
            row[key] = f"DIED with {done.returncode}: {done.stderr.strip()[-200:]}"
        else:
            row |= json.loads(done.stdout.splitlines()[-1])
    return row


def table(rows: list[dict]) -> str:
    """Returns the rows as a Markdown table, with the figures below."""
    head = ("net", "int8", "error", "stock", "ratio", "gap", "raw", "QAT", "channels")
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    ratios = []
    for r in rows:
        ratio = None
        if r.get("error") is not None and r.get("stock") and not r.get("stock_float"):
            ratio = r["error"] / r["stock"]
            ratios.append(ratio)
        stock_text = _number(r.get("stock")) + (f" ({r['stock_float']} float)" if r.get("stock_float") else "")
        raw = "raw" if r.get("raw") or r.get("raw_modes") else ""
        cells = (
            r["name"],
            r["int8"][:90],
            _number(r.get("error")),
            stock_text,
            _number(ratio, 2),
            _number(r.get("gap"), 1),
        )
        lines.append(
            "| " + " | ".join((*cells, raw, str(r.get("qat", ""))[:60], str(r.get("channels", ""))[:60])) + " |"
        )
    passed = sum(r["int8"].startswith("PASS") for r in rows)
    raw = sum(bool(r.get("raw") or r.get("raw_modes")) for r in rows)
    mean = float(np.exp(np.mean(np.log(ratios)))) if ratios else float("nan")
    worst = max(ratios, default=float("nan"))
    both = f"error, ours / stock where both are integer ({len(ratios)} nets)"
    lines += ["", f"int8: {passed} of {len(rows)} PASS; raw errors on {raw}"]
    return "\n".join([*lines, f"{both}: geometric mean {mean:.2f}, largest {worst:.2f}"])


def _number(value, digits=3) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="NAME")
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds for one net")
    parser.add_argument("--no-training", action="store_true", help="without QAT and channels")
    parser.add_argument("--json", help="file with the rows; those in it are not measured again")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--stock", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.stock:
        print(json.dumps(stock_child(args.stock)))
        return
    if args.child:
        print(json.dumps(child(args.child, not args.no_training)))
        return
    from coverage_nets import NETS

    has_hub = importlib.util.find_spec("keras_hub") is not None
    names = args.only or [n for n in NETS if has_hub or not n.startswith("hub_")]
    rows = []
    if args.json and os.path.exists(args.json):
        with open(args.json) as file:
            rows = json.load(file)
    there = {r["name"] for r in rows}
    for name in names:
        if name not in there:
            rows.append(measured(name, args.timeout, not args.no_training))
            print(f"{name}: {rows[-1]['int8'][:100]} {rows[-1].get('verdict', '')}", file=sys.stderr, flush=True)
            if args.json:
                with open(args.json, "w") as file:
                    json.dump(rows, file, indent=1)
    print(table([r for r in rows if r["name"] in names]))


if __name__ == "__main__":
    main()
