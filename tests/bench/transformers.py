"""A vision transformer on the CIFAR-10 part and a text transformer on made sentences, both of layers of one's own.

    python tests/bench/transformers.py --data ../shared/data/cifar10/cifar10.npz [--nets vit text] [--epochs N]

One float net is trained; `post-training` converts it with 256 samples of the training data, `QAT` trains on with
Quantize for a quarter of the epochs, `0.6 of the MACs` cuts heads and widths of the MLPs (channels that a
LayerNormalization reads are kept) and learns from the float net (Distill) for as many epochs as the float net had, with
Quantize. Accuracies are of the files, on the test set, looked
at once; sizes are those of the files.
"""

import argparse
import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "fixtures"))

import keras
import numpy as np
import tensorflow as tf
from keras import layers as L
from own_layers import Tokens

import tfcompress as tfc
from tfcompress.evaluate.macs import macs
from tfcompress.text.table import text_table

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
WORDS, LENGTH = 200, 24


@keras.saving.register_keras_serializable("bench")
class Block(L.Layer):
    """Pre-norm attention and MLP, with residual sums."""

    def __init__(self, width, heads, rate=0.1, **kwargs):
        super().__init__(**kwargs)
        self.width, self.heads, self.rate = width, heads, rate
        self.norm, self.norm2 = L.LayerNormalization(), L.LayerNormalization()
        self.attend, self.drop = L.MultiHeadAttention(heads, width // heads), L.Dropout(rate)
        self.wide, self.narrow = L.Dense(4 * width, activation="gelu"), L.Dense(width)

    def build(self, shape):
        for layer in (self.norm, self.norm2, self.wide):
            layer.build(shape)
        self.attend.build(shape, shape)
        self.narrow.build((*shape[:-1], 4 * self.width))
        self.built = True

    def call(self, x, training=None):
        y = self.norm(x)
        x = x + self.drop(self.attend(y, y), training=training)
        return x + self.drop(self.narrow(self.wide(self.norm2(x))), training=training)

    def get_config(self):
        return {**super().get_config(), "width": self.width, "heads": self.heads, "rate": self.rate}


def classifier(inputs, x, width, depth, classes, heads=4):
    x = Tokens()(x)
    for _ in range(depth):
        x = Block(width, heads)(x)
    return keras.Model(inputs, L.Dense(classes)(L.LayerNormalization()(x)[:, 0]))


def vit():
    i = x = keras.Input((32, 32, 3))
    for filters in (32, 64):
        x = L.Conv2D(filters, 3, strides=2, padding="same", activation="relu")(x)
    x = L.Conv2D(128, 3, strides=2, padding="same")(x)
    return classifier(i, L.Reshape((16, 128))(x), 128, 4, 10)


def text():
    i = keras.Input((LENGTH,), dtype="int32")
    return classifier(i, L.Embedding(WORDS, 128)(i), 128, 3, 4)


def sentences(count, seed):
    """Made sentences: which of four marks stands behind the last key word, among noise."""
    rng = np.random.default_rng(seed)
    x = rng.integers(10, WORDS, (count, LENGTH)).astype("int32")
    y = rng.integers(0, 4, count)
    for row, label in zip(x, y, strict=True):
        first, last = np.sort(rng.choice(LENGTH - 1, 2, replace=False))
        row[first], row[first + 1] = 1, 2 + rng.integers(0, 4)
        row[last], row[last + 1] = 1, 2 + label
    return x, y


def pictures(path):
    data = np.load(path)
    names = {name.lower(): name for name in data.files}
    train = (data[names["x_train"]], data[names["y_train"]].ravel())
    test = (data[names["x_test"]], data[names["y_test"]].ravel())
    return tuple((x.astype("float32") / 255.0, y.astype("int64")) for x, y in (train, test))


def batches(x, y, seed, size=64):
    data = tf.data.Dataset.from_tensor_slices((x, y)).cache().shuffle(len(x), seed=seed)
    if x.ndim == 4:

        def moved(image, label):
            image = tf.image.random_flip_left_right(tf.pad(image, [[4, 4], [4, 4], [0, 0]]))
            return tf.image.random_crop(image, [32, 32, 3]), label

        data = data.map(moved, num_parallel_calls=2)
    return data.batch(size, drop_remainder=True).prefetch(2)


def fit(model, data, epochs, rate, callbacks=()):
    steps = epochs * int(data.cardinality())
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps)), LOSS, metrics=["accuracy"]
    )
    model.fit(data, epochs=epochs, verbose=0, callbacks=list(callbacks))


def accuracy(artifact, x, y):
    return float(np.mean(artifact.predict(x).argmax(-1) == y))


def measured(net, train, test, epochs, seed):
    """Rows of one net."""
    keras.utils.set_random_seed(seed)
    (x, y), (xt, yt) = train, test
    data = batches(x, y, seed)
    began = time.perf_counter()
    model = net()
    fit(model, data, epochs, 1e-3)
    plain, half = tfc.convert(model, "float32"), tfc.convert(model, "float16")
    top = accuracy(plain, xt, yt)
    rows = []

    def add(name, artifact, size_of):
        found = accuracy(artifact, xt, yt)
        size = len(artifact.content)
        row = (name, f"{macs(size_of):,}", f"{size:,}", f"{len(half.content) / size:.2f}x", f"{found:.2%}")
        rows.append((*row, f"{(found - top) * 100:+.2f}", f"{time.perf_counter() - began:.0f} s"))
        print(rows[-1], flush=True)

    add("float32", plain, model)
    add("float16", half, model)
    add("post-training int8", tfc.convert(model, calibration=x[:256], diagnose=False), model)
    weights = model.get_weights()
    compression = tfc.Compression(tfc.Quantize("int8"), verbose=0)
    fit(model, data, max(1, epochs // 4), 2e-4, [compression])
    add("QAT int8", compression.convert(calibration=x[:256], diagnose=False), model)
    model.set_weights(weights)
    recipe = [tfc.PruneChannels(macs=0.6, round_to=1), tfc.Distill(model), tfc.Quantize("int8")]
    session = tfc.compress(model, recipe, x[:512], labels=y[:512], loss=LOSS, verbose=0)
    fit(session.model, data, epochs, 1e-3, session.callbacks)
    add("0.6 of the MACs, distilled, int8", session.convert(calibration=x[:256], diagnose=False), session.finish())
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="cifar10.npz, for the vision transformer")
    parser.add_argument("--nets", nargs="+", default=["vit", "text"], choices=["vit", "text"])
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    for name in args.nets:
        train, test = pictures(args.data) if name == "vit" else (sentences(20_000, 1), sentences(4_000, 2))
        rows = measured({"vit": vit, "text": text}[name], train, test, args.epochs, args.seed)
        head = ("net", "MACs", "bytes", "smaller than float16", "accuracy", "points", "after")
        print(f"\n{name}\n" + text_table(head, rows))


if __name__ == "__main__":
    main()
