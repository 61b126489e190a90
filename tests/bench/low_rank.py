"""LowRank on LeNet-5's Dense(500), MNIST: parameters of the layer and accuracy, before, after, and after one epoch.

The arm beside it trains the whole net one more epoch at the same rate, so that the epoch itself is not counted as gain.

    python tests/bench/low_rank.py [--data mnist.npz] [--epochs 3] [--ranks 25,50] [--methods svd,pca] [--seed 0]
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import tfcompress as tfc
from tfcompress.datasets.mnist import load_mnist
from tfcompress.demo import networks
from tfcompress.graph.clone import copied

LAYER = "dense"


def trained(model, digits, epochs, rate):
    """Trains a model at a falling rate."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    model.fit(
        digits.x_train, digits.y_train, batch_size=128, epochs=epochs, verbose=0, callbacks=[slower(epochs, rate)]
    )
    return model


def slower(epochs, rate):
    """Cosine from the rate towards a twentieth of it, epoch by epoch; a single epoch has the rate itself."""
    return keras.callbacks.LearningRateScheduler(lambda k: rate * (0.05 + 0.95 * np.cos(np.pi / 2 * k / epochs)))


def accuracy(model, digits):
    """Fraction of test digits told right."""
    right = [np.argmax(model(digits.x_test[k : k + 500], training=False), axis=1) for k in range(0, 10000, 500)]
    return float(np.mean(np.concatenate(right) == digits.y_test[: sum(map(len, right))]))


def parameters(model):
    """Parameters of the layer, or of those in its place."""
    return sum(layer.count_params() for layer in model.layers if layer.name in (LAYER, f"{LAYER}_in"))


def main():
    """Trains, factors, trains on and prints one line for each arm."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="mnist.npz; default: where tfcompress.data finds it")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--ranks", default="25,50")
    parser.add_argument("--methods", default="svd,pca")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    digits = load_mnist(args.data)
    keras.utils.set_random_seed(args.seed)
    model = trained(networks.lenet5(), digits, args.epochs, 1e-3)
    before = accuracy(model, digits)
    print(f"{digits.label}, LeNet-5, {args.epochs} epochs, seed {args.seed}: accuracy {100 * before:.2f} %")
    print(f"{'arm':<14} {'parameters':>10} {'fewer':>6} {'at once':>8} {'one epoch':>9} {'change':>9}")
    arms = [("whole", copied(model)[0])]
    for method in args.methods.split(","):
        for rank in map(int, args.ranks.split(",")):
            technique = tfc.LowRank(rank, method=method, where=LAYER)
            arms.append((f"{method} rank {rank}", technique.apply(model, data=digits.x_train[:2048], seed=args.seed)))
    for name, arm in arms:
        at_once, count = accuracy(arm, digits), parameters(arm)
        after = accuracy(trained(arm, digits, 1, 3e-4), digits)
        print(
            f"{name:<14} {count:>10,} {parameters(model) / count:>5.1f}x {100 * at_once:>7.2f}% {100 * after:>8.2f}% "
            f"{100 * (after - before):>+6.2f} pp",
            flush=True,
        )


if __name__ == "__main__":
    main()
