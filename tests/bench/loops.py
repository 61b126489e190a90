"""Recurrent layers as loops beside unrolled ones of the same ranges: bytes, operations, codes, latency in turns.

python tests/bench/loops.py [--steps 6 50 200] [--units 16] [--kinds LSTM GRU BiLSTM] [--mode quick]
"""

import argparse
import time

import keras
import numpy as np

import tfcompress as tfc
from tfcompress.benchmarking.benchmark import MODES, benchmark
from tfcompress.conversion.conversion import Conversion
from tfcompress.conversion.ranges import find_ranges
from tfcompress.conversion.writing import write
from tfcompress.export.simulate import simulate
from tfcompress.file_formats import FORMATS
from tfcompress.text.table import text_table

FEATURES, SAMPLES = 8, 64
KINDS = {
    "LSTM": keras.layers.LSTM,
    "GRU": keras.layers.GRU,
    "SimpleRNN": keras.layers.SimpleRNN,
    "BiLSTM": lambda units: keras.layers.Bidirectional(keras.layers.LSTM(units)),
}


def net(kind, steps, units):
    """A recurrent layer that puts out its last state, and a dense one behind it."""
    keras.utils.set_random_seed(0)
    x = keras.Input((steps, FEATURES), name="x")
    return keras.Model(x, keras.layers.Dense(4)(KINDS[kind](units)(x)))


def unrolled_twin(model, x):
    """The unrolled file of the ranges that the file with a loop has, and the outputs of their simulation."""
    samples = [{"x": row[None]} for row in x]
    options = {"io": "int8", "signature": "serving_default", "allow_float": (), "leave_float": (), "scales": "channel"}
    job = Conversion(model=model, file_format=FORMATS["int8"], samples=samples, recurrent="loop", **options)
    find_ranges(job)
    job.loops = frozenset()
    return write(job), np.asarray(simulate(model, job.state, x))


def row(kind, steps, args):
    """The line of one layer and length."""
    model = net(kind, steps, args.units)
    x = np.random.default_rng(0).normal(size=(SAMPLES, steps, FEATURES)).astype("float32")
    began = time.perf_counter()
    loop = tfc.convert(model, calibration=x, recurrent="loop", diagnose=False)
    seconds = time.perf_counter() - began
    unrolled, simulated = unrolled_twin(model, x)
    got, other = loop.predict(x), unrolled.predict(x)
    scale = loop.outputs[0].scale
    report = benchmark({"loop": loop, "unrolled": unrolled}, **MODES[args.mode], memory=False, verbose=0)
    p50 = {name: report[name]["latency"]["p50_us"] for name in ("loop", "unrolled")}
    return [
        f"{kind}, {steps} steps", f"{loop.size - model.count_params():,}", f"{loop.size:,} / {unrolled.size:,}",
        f"{len(loop.ops_table())} / {len(unrolled.ops_table())}", f"{int((np.abs(got - other) > scale / 2).sum())}",
        f"{int((np.abs(got - simulated) > scale / 2).sum())} of {got.size}", f"{seconds:.1f}",
        f"{p50['loop']:.0f} / {p50['unrolled']:.0f} ({p50['loop'] / p50['unrolled']:.2f})",
    ]  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, nargs="+", default=[6, 50, 200])
    parser.add_argument("--units", type=int, default=16)
    parser.add_argument("--kinds", nargs="+", default=["LSTM", "GRU", "BiLSTM"], choices=tuple(KINDS))
    parser.add_argument("--mode", default="quick", choices=tuple(MODES))
    args = parser.parse_args()
    header = ["layer", "bytes beside weights", "bytes, loop / unrolled", "operations", "codes off unrolled",
              "codes off simulation", "s to convert", "p50 us (ratio)"]  # fmt: skip
    print(text_table(header, [row(kind, steps, args) for kind in args.kinds for steps in args.steps]))


if __name__ == "__main__":
    main()
