"""Time of one training step: float, QAT, prune, cluster; tfcompress on Keras 3 beside tfmot on tf_keras.

Both arms train the same net on the same random data in one process, in turns, so that a busy machine slows both.
Printed are medians over the steps and ratios to each arm's own float step.

    python tests/bench/step_time.py [--nets tutorial,lenet300] [--rounds 3] [--steps 60] [--no-tfmot]
"""

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import tfcompress as tfc
from tfcompress.demo import networks

NETS = {
    "tutorial": (networks.tutorial, (28, 28, 1), 10, 128),
    "lenet300": (networks.lenet300, (28, 28, 1), 10, 128),
    "lenet5": (networks.lenet5, (28, 28, 1), 10, 128),
    "codelab": (networks.codelab, (28, 28, 1), 10, 32),
    "resnet8": (networks.resnet8, (32, 32, 3), 10, 32),
    "ds_cnn": (networks.ds_cnn, (49, 10, 1), 12, 100),
}
OURS = {
    "float": None,
    "qat": lambda: tfc.Quantize("int8"),
    "prune": lambda: tfc.Prune(0.8),
    "cluster": lambda: tfc.Cluster(16, begin=0.0),
}


def stopwatch(base):
    """A callback class of a Keras that notes when steps end."""

    class Stopwatch(base):
        def __init__(self):
            super().__init__()
            self.times = []

        def on_train_batch_end(self, batch, logs=None):
            self.times.append(time.perf_counter())

    return Stopwatch()


class Arm:
    """One net under one technique, trained some steps at a time."""

    def __init__(self, model, fit_callbacks, base):
        self.model, self.make_callbacks, self.base, self.steps = model, fit_callbacks, base, []

    def run(self, x, y, batch, warm=10):
        watch = stopwatch(self.base)
        self.model.fit(
            x, y, batch_size=batch, epochs=1, verbose=0, shuffle=False, callbacks=[*self.make_callbacks(), watch]
        )
        self.steps += list(np.diff(watch.times)[warm:])

    @property
    def median(self):
        return float(np.median(self.steps)) * 1e3


def our_arm(build, technique):
    keras.utils.set_random_seed(0)
    model = build()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    if technique is None:
        return Arm(model, list, keras.callbacks.Callback)
    # what the default comes to in a training of 2,000 steps; a run of 60 would look at its masks in every one
    compression = tfc.Compression(technique(), update_every=20, verbose=0)
    return Arm(model, lambda: [compression], keras.callbacks.Callback)


def tfmot_arm(name, kind, steps):
    import tensorflow_model_optimization as tfmot
    import tf_keras
    from tf_nets import build

    model = build(name)
    callbacks = list
    if kind == "qat":
        model = tfmot.quantization.keras.quantize_model(model)
    elif kind == "prune":
        schedule = tfmot.sparsity.keras.PolynomialDecay(0.0, 0.8, 0, steps)
        model = tfmot.sparsity.keras.prune_low_magnitude(model, pruning_schedule=schedule)
        callbacks = lambda: [tfmot.sparsity.keras.UpdatePruningStep()]  # noqa: E731
    elif kind == "cluster":
        start = tfmot.clustering.keras.CentroidInitialization.KMEANS_PLUS_PLUS
        model = tfmot.clustering.keras.cluster_weights(model, number_of_clusters=16, cluster_centroids_init=start)
    model.compile("adam", tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return Arm(model, callbacks, tf_keras.callbacks.Callback)


def measure(name, rounds, steps, with_tfmot):
    build, shape, classes, batch = NETS[name]
    rng = np.random.default_rng(0)
    x = rng.random((batch * steps, *shape), dtype="float32")
    y = rng.integers(0, classes, batch * steps)
    arms = {("tfcompress", k): our_arm(build, t) for k, t in OURS.items()}
    if with_tfmot:
        arms |= {("tfmot", k): tfmot_arm(name, k, rounds * steps) for k in OURS}
    for _ in range(rounds):
        for arm in arms.values():
            arm.run(x, y, batch)
    return {key: arm.median for key, arm in arms.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", default=",".join(NETS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--no-tfmot", action="store_true")
    args = parser.parse_args()
    ratios = {}
    print(f"{'net':<10} {'arm':<11} {'float ms':>9} {'qat':>6} {'prune':>6} {'cluster':>8}")
    for name in args.nets.split(","):
        found = measure(name, args.rounds, args.steps, not args.no_tfmot)
        for arm in ("tfcompress", "tfmot"):
            if (arm, "float") not in found:
                continue
            base = found[arm, "float"]
            row = {k: found[arm, k] / base for k in ("qat", "prune", "cluster")}
            for k, r in row.items():
                ratios.setdefault((arm, k), []).append(r)
            print(
                f"{name:<10} {arm:<11} {base:>9.2f} {row['qat']:>5.2f}x {row['prune']:>5.2f}x {row['cluster']:>7.2f}x",
                flush=True,
            )
    for (arm, k), r in ratios.items():
        print(f"geo-mean {arm} {k}: {np.exp(np.mean(np.log(r))):.2f}x")


if __name__ == "__main__":
    main()
