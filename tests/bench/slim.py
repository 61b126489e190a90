"""What the flatbuffer diet saves: bytes, parameters, MACs, and whether the answers are the same; for any files.

Inputs are drawn: one half independent codes, one half smooth over places. Latency is measured in turn, in blocks.

    python tests/bench/slim.py FILE.tflite [FILE.tflite ...] [--samples 1000] [--names io|all] [--mode quick]
"""

import argparse
import os

import numpy as np

import tfcompress as tfc
from tfcompress.benchmarking.benchmark import MODES, benchmark
from tfcompress.evaluate.macs_artifact import artifact_macs
from tfcompress.text.table import text_table
from tfcompress.tflite.runner import Runner
from tfcompress.tflite.weight_tensors import kernel_tensors


def smooth(rng, shape):
    """Values of a standard deviation of about 1 that change slowly along every axis but first and last."""
    values = rng.normal(size=shape)
    axes = range(1, max(2, len(shape) - 1))
    for axis in axes:
        values = np.cumsum(values, axis)
        values -= values.mean(axis, keepdims=True)
    return values / (values.std(tuple(range(1, len(shape))), keepdims=True) + 1e-9)


def drawn(spec, samples, kind, seed):
    """Random or smooth inputs of a tensor's own type."""
    rng = np.random.default_rng(seed)
    shape = (samples, *(max(1, size) for size in spec.shape[1:]))
    if spec.dtype.startswith("float"):
        return (smooth(rng, shape) if kind == "smooth" else rng.normal(size=shape)).astype(spec.dtype)
    limits = np.iinfo(spec.dtype)
    if kind == "random":
        return rng.integers(limits.min, limits.max, shape, spec.dtype, endpoint=True)
    middle, reach = (limits.max + limits.min) / 2, (limits.max - limits.min) / 4
    return np.clip(np.rint(smooth(rng, shape) * reach + middle), limits.min, limits.max).astype(spec.dtype)


def equal_answers(pair, samples, kind, xnnpack, seed):
    """Number of samples with the same bytes in all outputs, and of different answers among them."""
    inputs = [drawn(spec, samples, kind, seed + k) for k, spec in enumerate(pair[0].inputs)]
    found = [Runner(a.content, a.model, a.inputs, a.outputs, xnnpack=xnnpack).run(inputs) for a in pair]
    rows = [[b"".join(out[k].tobytes() for out in outputs) for k in range(samples)] for outputs in found]
    return sum(a == b for a, b in zip(*rows, strict=True)), len(set(rows[0]))


def figures(artifact):
    """Parameters in kernels, and MACs."""
    kernels = {id(tensor): tensor for _, tensor in kernel_tensors(artifact.model)}
    parameters = sum(int(np.prod(tensor.shape)) for tensor in kernels.values())
    return parameters, sum(row["macs"] or 0 for row in artifact_macs(artifact))


def delegations(artifact):
    """Parts of the graph that XNNPACK took over."""
    runner = Runner(artifact.content, artifact.model, artifact.inputs, artifact.outputs)
    return [each["op_name"] for each in runner.interpreter._get_ops_details()].count("DELEGATE")


def row(path, args):
    """The line of one file."""
    before = tfc.Artifact.load(path)
    after = tfc.slim(before, names=args.names)
    equal = []
    for xnnpack in (True, False):
        for kind in ("random", "smooth"):
            same, distinct = equal_answers((before, after), args.samples, kind, xnnpack, args.seed)
            equal.append(f"{same}/{args.samples} ({distinct})")
    report = benchmark({"before": before, "after": after}, **MODES[args.mode], memory=False, seed=args.seed, verbose=0)
    p50 = {name: report[name]["latency"]["p50_us"] for name in ("before", "after")}
    (old_parameters, old_macs), (parameters, macs) = figures(before), figures(after)
    return [
        os.path.basename(path), f"{before.size:,} -> {after.size:,}", f"{before.size / after.size:.2f}",
        f"{old_parameters:,} -> {parameters:,}", f"{old_macs:,} -> {macs:,}", *equal,
        f"{delegations(before)} -> {delegations(after)}",
        f"{p50['before']:.0f} -> {p50['after']:.0f} ({p50['before'] / p50['after']:.2f}x)",
    ]  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--names", default="io", choices=("io", "all"))
    parser.add_argument("--mode", default="quick", choices=tuple(MODES))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    header = ["file", "bytes", "ratio", "parameters", "MACs", "equal random (distinct)", "equal smooth",
              "plain random", "plain smooth", "delegates", "p50 us"]  # fmt: skip
    print(text_table(header, [row(path, args) for path in args.files]))


if __name__ == "__main__":
    main()
