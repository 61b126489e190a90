"""How small can MNIST nets get that the stock LiteRT interpreter runs: raw bytes of the int8 file, and its error.

    python tests/bench/small_nets.py --data ../shared/data/mnist/mnist.npz --net lenet5 --seeds 0 1 2 --out models

Each net is trained in float, cut by its recipe (`models/<net>/recipe.json` is what `--out` writes), trained on with the
file's rounding and a teacher, converted and slimmed. Choices are made on images held back from the training set; the
test set is looked at once per seed, at the end. Prints one line per seed: bytes, error, parameters, seconds.
"""

import argparse
import json
import pathlib
import time

import keras
import numpy as np
import tensorflow as tf

import tfcompress as tfc
from tfcompress.datasets.mnist import load_mnist
from tfcompress.demo import networks
from tfcompress.techniques.base import Technique

HELD = 5_000
L = keras.layers


def free_net() -> keras.Model:
    """A strided 5x5 and three 3x3 convolutions, pooled in between: 4,428 parameters."""
    x = inputs = keras.Input((28, 28, 1), name="image")
    x = L.Conv2D(8, 5, 2, padding="same", activation="relu", name="conv1")(x)  # (batch, 14, 14, 8)
    x = L.Conv2D(10, 3, padding="same", activation="relu", name="conv2")(x)
    x = L.MaxPooling2D(name="pool1")(x)  # (batch, 7, 7, 10)
    x = L.Conv2D(12, 3, padding="same", activation="relu", name="conv3")(x)
    x = L.MaxPooling2D(name="pool2")(x)  # (batch, 3, 3, 12)
    x = L.Conv2D(12, 3, padding="same", activation="relu", name="conv4")(x)
    return keras.Model(inputs, L.Dense(10, name="logits")(L.Flatten()(x)), name="free")


class Net:
    """A net, what its recipe cuts, and how long it is trained."""

    def __init__(self, make, cuts: list[Technique], epochs: int, first: int = 4, is_taught: bool = False):
        self.make, self.cuts, self.first, self.epochs, self.is_taught = make, cuts, first, epochs, is_taught


NETS = {
    "lenet5": Net(
        networks.lenet5,
        [
            tfc.PruneChannels(  # to 7, 14 and 20
                0.5,
                criterion="deviation",
                scope="layer",
                round_to=1,
                overrides={"conv1": 0.65, "conv2": 0.72, "dense": 0.96},
            )
        ],
        30,
    ),
    "lenet300": Net(
        networks.lenet300,
        [
            tfc.PruneChannels(  # to 64 and 32
                0.5,
                criterion="deviation",
                scope="layer",
                round_to=1,
                overrides={"dense1": 0.787, "dense2": 0.68},
            ),
            tfc.LowRank(23, method="pca", where="dense1"),
        ],
        40,
    ),
    "free": Net(free_net, [], 10, first=60, is_taught=True),
}


def batches(images, labels, size: int, seed: int, turn: float = 10.0, shift: float = 2.0) -> tf.data.Dataset:
    """Shuffled batches; half of the images are turned by up to `turn` degrees and moved by up to `shift` pixels."""
    count = len(images) // size * size

    def moved(x, y):
        n = tf.shape(x)[0]
        angle = tf.random.uniform((n,), -turn, turn) * np.pi / 180
        dx, dy = tf.random.uniform((n,), -shift, shift), tf.random.uniform((n,), -shift, shift)
        still = tf.cast(tf.random.uniform((n,)) < 0.5, tf.float32)
        angle, dx, dy = angle * still, dx * still, dy * still
        c, s, zero = tf.cos(angle), tf.sin(angle), tf.zeros((n,))
        middle = 13.5
        rows = [c, -s, middle - c * middle + s * middle + dx, s, c, middle - s * middle - c * middle + dy, zero, zero]
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=x, transforms=tf.stack(rows, 1), output_shape=[28, 28], fill_value=0.0, interpolation="BILINEAR"
        ), y

    data = tf.data.Dataset.from_tensor_slices((images, labels)).shuffle(len(images), seed=seed)
    return data.take(count).batch(size, drop_remainder=True).map(moved).prefetch(2)


def fit(model, data, validation, epochs: int, rate: float, callbacks=(), verbose: int = 0):
    """AdamW with a rate that falls as a cosine, and the moving mean of the weights at the end."""
    steps = epochs * int(data.cardinality())
    model.compile(
        keras.optimizers.AdamW(
            keras.optimizers.schedules.CosineDecay(
                rate / 10, steps - steps // 20, warmup_target=rate, warmup_steps=steps // 20
            ),
            weight_decay=1e-4,
            use_ema=True,
            ema_momentum=0.998,
        ),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(data, epochs=epochs, callbacks=list(callbacks), verbose=verbose, shuffle=False)
    return model


def error(artifact, images, labels) -> float:
    """Share of images named wrongly."""
    return float((artifact.predict(images).argmax(-1) != labels).mean())


def recipe_of(net: Net, teacher) -> tfc.Recipe:
    """What is done to a net."""
    # a scale per channel costs bytes: the scale of its bias and zero points come with it
    rounding = tfc.Quantize("int8", per_channel=False)
    return tfc.Recipe([*net.cuts, rounding, lesson(teacher)])


def lesson(teacher) -> tfc.Distill:
    """A quarter of the loss is the labels', the rest the teacher's."""
    return tfc.Distill(teacher, temperature=4.0, alpha=0.25)


def build(net: Net, teacher, train, held, seed: int, verbose: int):
    """Trains, cuts, trains on and converts; returns the artifact and the seconds of training."""
    keras.utils.set_random_seed(seed)
    began = time.perf_counter()
    model = net.make()
    data = batches(*train, 128, seed)
    learning = [tfc.Compression([lesson(teacher)], verbose=0)] if net.is_taught else []
    fit(model, data, held, net.first, 3e-3 if net.is_taught else 2e-3, learning, verbose)
    recipe = recipe_of(net, teacher)
    x, y = train[0][:2000], train[1][:2000]
    session = tfc.compress(model, recipe, x, labels=y, seed=seed, verbose=verbose)
    fit(session.model, data, held, net.epochs, 1e-3 if net.is_taught else 3e-3, session.callbacks, verbose)
    seconds = time.perf_counter() - began
    return session.convert(calibration=x[:500]), session, seconds


def teacher_of(path, train, verbose: int):
    """Loads the teacher, or trains and stores it."""
    path = pathlib.Path(path)
    if path.exists():
        return keras.models.load_model(path)
    keras.utils.set_random_seed(100)
    made = fit(networks.mnist_teacher(), batches(*train, 128, 100), None, 16, 2e-3, verbose=verbose)
    made.save(path)
    return made


def main():
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="mnist.npz")
    parser.add_argument("--net", nargs="+", default=list(NETS), choices=NETS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--teacher", default="mnist_teacher.keras", help="file of the teacher; trained if absent")
    parser.add_argument("--epochs", type=int, help="instead of the net's own")
    parser.add_argument("--held", action="store_true", help="report on the images held back only (for trying out)")
    parser.add_argument("--out", help="folder for <net>/<net>.tflite and its recipe, of the first seed")
    parser.add_argument("--verbose", type=int, default=0)
    given = parser.parse_args()
    digits = load_mnist(given.data)
    train = digits.x_train[:-HELD], digits.y_train[:-HELD]
    held = digits.x_train[-HELD:], digits.y_train[-HELD:]
    teacher = teacher_of(given.teacher, train, given.verbose)
    print("teacher: error on held images", float((teacher.predict(held[0], verbose=0).argmax(-1) != held[1]).mean()))
    for name in given.net:
        net = NETS[name]
        net.epochs = given.epochs or net.epochs
        for seed in given.seeds:
            artifact, session, seconds = build(net, teacher, train, held, seed, given.verbose)
            slim = tfc.slim(artifact)
            row = {"net": name, "seed": seed, "bytes": slim.size, "unslimmed": artifact.size}
            row |= {"parameters": session.finish().count_params(), "error_held": error(slim, *held)}
            if not given.held:
                row["error_test"] = error(slim, digits.x_test, digits.y_test)
            row["seconds"] = round(seconds)
            print(json.dumps(row), flush=True)
            if given.out and seed == given.seeds[0]:
                keep(pathlib.Path(given.out) / name, name, slim, recipe_of(net, pathlib.Path(given.teacher).name), row)


def keep(folder: pathlib.Path, name: str, artifact, recipe: tfc.Recipe, row: dict) -> None:
    """Writes a net's file, its recipe and its figures."""
    folder.mkdir(parents=True, exist_ok=True)
    artifact.save(folder / f"{name}.tflite")
    recipe.save(folder / "recipe.json")
    (folder / "figures.json").write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
