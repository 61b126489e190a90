"""ResNet-8 on the CIFAR-10 part: half of the MACs, how much faster is the int8 file, at which cost?

    python tests/bench/resnet_cifar.py --data ../shared/data/cifar10/cifar10.npz --epochs 40 --after 30

One float net is trained; every arm starts from it, has the same epochs afterwards and the same rounding. `l1` cuts
the filters with the smallest L1 norm in one shot and trains on labels; `ours` cuts where measured time is bought with
the least deviation of the channels, and learns from the float net as well. `whole` is the float net's own int8 file.
Latencies are measured in turns, one thread, on this machine.
"""

import argparse
import time

import keras
import numpy as np
import tensorflow as tf

import tfcompress as tfc
from tfcompress.demo import networks
from tfcompress.evaluate.macs import macs
from tfcompress.text.table import text_table

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def batches(x, y, size: int, seed: int) -> tf.data.Dataset:
    """Shuffled batches; images are mirrored and moved by up to 4 pixels."""

    def moved(image, label):
        image = tf.image.random_flip_left_right(tf.pad(image, [[4, 4], [4, 4], [0, 0]]))
        return tf.image.random_crop(image, [32, 32, 3]), label

    data = tf.data.Dataset.from_tensor_slices((x, y)).cache().shuffle(len(x), seed=seed)
    return data.map(moved, num_parallel_calls=2).batch(size, drop_remainder=True).prefetch(2)


def fit(model, data, epochs: int, rate: float, callbacks=(), verbose: int = 0):
    """Adam with a rate that falls as a cosine, and the moving mean of the weights at the end."""
    steps = epochs * int(data.cardinality())
    plan = keras.optimizers.schedules.CosineDecay(rate, steps)
    model.compile(keras.optimizers.Adam(plan, use_ema=True, ema_momentum=0.99), LOSS, metrics=["accuracy"])
    began = time.perf_counter()
    model.fit(data, epochs=epochs, callbacks=list(callbacks), verbose=verbose, shuffle=False)
    return time.perf_counter() - began


def arm(model, techniques, data, train, epochs, seed, verbose):
    """Cuts, trains on with the file's rounding, converts."""
    keras.utils.set_random_seed(seed)
    x, y = train
    session = tfc.compress(model, [*techniques, tfc.Quantize("int8")], x[:1024], labels=y[:1024], loss=LOSS,
                           verbose=verbose)  # fmt: skip
    seconds = fit(session.model, data, epochs, 2e-3, session.callbacks, verbose)
    return session.convert(calibration=x[:256]), session.finish(), seconds


def main():
    """Runs all arms and prints their table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="cifar10.npz")
    parser.add_argument("--epochs", type=int, default=40, help="of the float net")
    parser.add_argument("--after", type=int, default=30, help="after the cut")
    parser.add_argument("--macs", type=float, default=0.5, help="share of the MACs that `l1` keeps")
    parser.add_argument("--latency", type=float, default=0.66, help="share of the latency that `ours` keeps")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--float", help="file of the float net; trained if absent")
    parser.add_argument("--verbose", type=int, default=0)
    given = parser.parse_args()
    with np.load(given.data) as file:
        x, y, x_test, y_test = (file[k] for k in ("x_train", "y_train", "x_test", "y_test"))
    x, x_test = (v.astype("float32") / 255.0 for v in (x, x_test))
    y, y_test = y.reshape(-1).astype("int64"), y_test.reshape(-1).astype("int64")
    data = batches(x, y, 64, given.seed)
    keras.utils.set_random_seed(given.seed)
    try:
        model = keras.models.load_model(given.float)
    except (TypeError, ValueError, OSError):
        model = networks.resnet8()
        print(f"float net: {fit(model, data, given.epochs, 2e-3, verbose=given.verbose):.0f} s")
        if given.float:
            model.save(given.float)
    model.compile(loss=LOSS)
    exact = float((model.predict(x_test, batch_size=500, verbose=0).argmax(-1) == y_test).mean())
    teach = tfc.Distill(model, temperature=2.0, alpha=0.6)
    arms = {
        "l1": [tfc.PruneChannels(macs=given.macs, criterion="l1", scope="layer", round_to=4)],
        "ours": [tfc.PruneChannels(latency=given.latency, criterion="deviation"), teach],
    }
    files = {"whole": tfc.convert(model, calibration=x[:256])}
    rows = [{"arm": "float", "accuracy": exact, "macs": macs(model), "parameters": model.count_params()}]
    rows += [{"arm": "whole", "macs": macs(model), "parameters": model.count_params(), "seconds": 0}]
    for name, techniques in arms.items():
        artifact, small, seconds = arm(model, techniques, data, (x, y), given.after, given.seed, given.verbose)
        files[name] = artifact
        rows.append({"arm": name, "macs": macs(small), "parameters": small.count_params(), "seconds": seconds})
    report = tfc.benchmark(files, runs=200, min_seconds=2.0, blocks=10, memory=False, verbose=0)
    latency = {row["name"]: row["latency"]["p50_us"] for row in report.results}
    for row in rows[1:]:
        artifact = files[row["arm"]]
        answers = artifact.predict(x_test).argmax(-1)
        row |= {
            "accuracy": float((answers == y_test).mean()),
            "bytes": artifact.size,
            "latency": latency[row["arm"]],
            "faster": latency["whole"] / latency[row["arm"]],
        }
    shown = {
        "arm": "",
        "accuracy": ".4f",
        "macs": ",",
        "parameters": ",",
        "bytes": ",",
        "latency": ".1f",
        "faster": ".2f",
    }
    shown["seconds"] = ".0f"
    cells = [["" if row.get(k) is None else format(row[k], how) for k, how in shown.items()] for row in rows]
    print(text_table([*list(shown)[:5], "p50 us", "times faster", "s of training"], cells))


if __name__ == "__main__":
    main()
