"""Fewest MACs against lowest latency: the same net cut to half of its MACs, and to a share of its measured time.

    python tests/bench/latency_budget.py

The net pools at full resolution, which takes time but no MACs, and has 1x1 convolutions on few pixels, which hold the
MACs and run fast on 8-bit integers. Prints widths, MACs and medians measured in turns, one thread, on this machine.
"""

import argparse

import keras
import numpy as np

import tfcompress as tfc
from tfcompress.evaluate.macs import macs
from tfcompress.text.table import text_table

L = keras.layers


def net() -> keras.Model:
    """Pooling on 64 x 64, then wide 1x1 layers on 4 x 4, many of whose filters are small."""
    x = inputs = keras.Input((64, 64, 3))
    x = L.Conv2D(32, 1, activation="relu", name="early")(x)
    for k in range(3):
        x = L.AveragePooling2D(3, strides=1, padding="same", name=f"smooth{k}")(x)
    x = L.AveragePooling2D(16)(x)
    for k in range(4):
        x = L.Conv2D(1024, 1, activation="relu", name=f"late{k}")(x)
    model = keras.Model(inputs, L.Dense(10)(L.GlobalAveragePooling2D()(x)))
    rng = np.random.default_rng(0)
    for k in range(4):
        kernel = model.get_layer(f"late{k}").kernel
        kernel.assign(kernel.numpy() * rng.uniform(0.0, 1.0, kernel.shape[-1]))
    return model


def main():
    """Cuts both ways and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--macs", type=float, default=0.5)
    parser.add_argument("--latency", type=float, default=0.6)
    given = parser.parse_args()
    keras.utils.set_random_seed(0)
    model, x = net(), np.random.default_rng(0).random((32, 64, 64, 3), "float32")
    arms = {
        "whole": model,
        f"macs={given.macs}": tfc.PruneChannels(macs=given.macs).apply(model),
        f"latency={given.latency}": tfc.PruneChannels(latency=given.latency).apply(model, x),
    }
    files = {name: tfc.convert(arm, calibration=x) for name, arm in arms.items()}
    report = tfc.benchmark(files, runs=200, min_seconds=1.0, blocks=10, memory=False, verbose=0)
    time = {row["name"]: row["latency"]["p50_us"] for row in report.results}
    rows = [
        [
            name,
            *(str(arm.get_layer(k).filters) for k in ("early", "late0", "late3")),
            f"{macs(arm):,}",
            f"{time[name]:.1f}",
        ]
        for name, arm in arms.items()
    ]
    print(text_table(["arm", "early", "late0", "late3", "MACs", "p50 us"], rows))


if __name__ == "__main__":
    main()
