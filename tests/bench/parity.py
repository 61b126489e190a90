"""Quantization-aware training against the file: how often the same class, and the largest gap in output steps.

A Conv-ReLU and a Conv-BatchNorm-ReLU net, on MNIST and Fashion-MNIST, 10,000 test images each, with and without
XNNPACK.

    python tests/bench/parity.py --mnist FOLDER --fashion FOLDER [--epochs 2]
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
from keras import layers

import tfcompress as tfc
from tfcompress.datasets.mnist import load_fashion_mnist, load_mnist
from tfcompress.export.verify import parity
from tfcompress.fidelity.measuring import answers


def conv_relu():
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), name="image"),
            layers.Conv2D(16, 3, strides=2, activation="relu"),
            layers.Conv2D(32, 3, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(10),
        ]
    )


def conv_bn_relu():
    blocks = []
    for filters in (16, 32):
        blocks += [layers.Conv2D(filters, 3, strides=2, use_bias=False), layers.BatchNormalization(), layers.ReLU()]
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), name="image"),
            *blocks,
            layers.Flatten(),
            layers.Dense(64),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Dense(10),
        ]
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist")
    parser.add_argument("--fashion")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    sets = {"mnist": load_mnist(args.mnist), "fashion": load_fashion_mnist(args.fashion)}
    print(f"{'data':<8} {'net':<13} {'accuracy':>8} {'xnnpack':>7} {'same argmax':>16} {'largest gap':>12}")
    for name, data in sets.items():
        for build in (conv_relu, conv_bn_relu):
            keras.utils.set_random_seed(args.seed)
            model = build()
            model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
            compression = tfc.Compression(tfc.Quantize("int8"), verbose=0)
            model.fit(
                data.x_train, data.y_train, batch_size=128, epochs=args.epochs, verbose=0, callbacks=[compression]
            )
            artifact = compression.convert()
            simulated = {artifact.outputs[0].name: compression.predict(data.x_test)}
            got = answers(artifact, {artifact.inputs[0].name: data.x_test})
            accuracy = (artifact.predict(data.x_test).argmax(1) == data.y_test).mean()
            for xnnpack in (True, False):
                found = parity(artifact, simulated, got[xnnpack], xnnpack)
                same = f"{round(found.agreement * found.samples):,} of {found.samples:,}"
                print(
                    f"{name:<8} {build.__name__:<13} {accuracy:>8.4f} {xnnpack!s:>7} {same:>16} "
                    f"{found.largest_gap:>7.2f} steps",
                    flush=True,
                )


if __name__ == "__main__":
    main()
