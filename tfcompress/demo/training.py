"""Trains a model of the demo: on shifted images, with a learning rate that warms up and falls."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

MNIST_IMAGES = 58_000  # without those held out
MOST_OFTEN = 5.0  # as many passes as few images need; with so few each is quick
SHIFT = 1  # pixels of the augmentation; larger shifts would need longer training


@dataclass(frozen=True)
class TrainingStage:
    """Length, batch size and learning rate of one training.

    Attributes:
        epochs: Passes over the images.
        batch: Images in a batch.
        rate: Highest learning rate.

    Example:
        >>> TrainingStage(epochs=5, batch=128, rate=2e-3).scaled(effort=1.0, images=11_600).epochs
        25.0
    """

    epochs: float
    batch: int
    rate: float

    def scaled(self, effort: float, images: int) -> "TrainingStage":
        """Returns the stage with a length that fits the data.

        Args:
            effort: Factor on the length.
            images: Training images. Where they are fewer than MNIST's, they are passed over more
                often, up to `MOST_OFTEN` times as often.

        Returns:
            The stage with its own number of epochs.
        """
        longer = min(MOST_OFTEN, max(1.0, MNIST_IMAGES / images))
        return dataclasses.replace(self, epochs=self.epochs * effort * longer)


def train(
    name: str,
    model: keras.Model,
    stage: TrainingStage,
    data: tuple[tf.Tensor, tf.Tensor],
    validation: tuple[np.ndarray, np.ndarray],
    callbacks: Sequence[keras.callbacks.Callback] = (),
    seed: int = 0,
    say: Callable[[str], None] | None = None,
) -> dict[str, list[float]]:
    """Compiles and trains a classifier that ends in logits.

    Args:
        name: Name of the training, for its progress lines.
        model: The classifier; compiled again.
        stage: Length and speed; at least one epoch is run.
        data: Images (n, height, width, channels) and classes (n,).
        validation: The same, held out.
        callbacks: Further callbacks, such as `tfc.Compression`.
        seed: Seed of the order and the shifts.
        say: Takes one line per epoch; None for silence.

    Returns:
        `loss` and `val_loss` by epoch.
    """
    epochs, batch = max(1, round(stage.epochs)), min(stage.batch, len(data[0]))
    steps = epochs * (len(data[0]) // batch)
    warmup = max(1, steps // 10)
    rate = keras.optimizers.schedules.CosineDecay(
        stage.rate / 10, max(1, steps - warmup), 0.01, warmup_target=stage.rate, warmup_steps=warmup
    )
    model.compile(
        # Pruning and clustering change the gradients suddenly; with the usual long average of
        # their squares (beta_2=0.999) Adam's steps would be far too large then.
        keras.optimizers.Adam(rate, beta_2=0.98),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    history = model.fit(
        _shifted_batches(*data, batch, seed),
        epochs=epochs,
        validation_data=validation,
        validation_batch_size=500,
        callbacks=[*callbacks, *([_Told(name, epochs, say)] if say else [])],
        shuffle=False,  # the batches are shuffled already
        verbose=0,
    ).history
    return {key: history[key] for key in ("loss", "val_loss")}


class _Told(keras.callbacks.Callback):
    """Writes one line per epoch."""

    def __init__(self, name: str, epochs: int, say: Callable[[str], None]):
        super().__init__()
        self.name, self.epochs, self.say = name, epochs, say

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        seconds = time.perf_counter() - self.began
        self.say(
            f"{self.name} {epoch + 1}/{self.epochs}: loss {logs['loss']:.4f}, accuracy on images "
            f"held out {logs['val_accuracy']:.4f}, {seconds:.1f} s"
        )


def _shifted_batches(images: tf.Tensor, labels: tf.Tensor, batch: int, seed: int) -> tf.data.Dataset:
    """Returns shuffled batches, each shifted by up to `SHIFT` pixels as a whole."""
    count, height, width, _ = images.shape

    def look_up(chosen, drawn):
        padding = [[0, 0], [SHIFT, SHIFT], [SHIFT, SHIFT], [0, 0]]
        padded = tf.pad(tf.gather(images, chosen), padding)
        top, left = tf.unstack(tf.cast(drawn % (2 * SHIFT + 1), tf.int32))
        moved = tf.image.crop_to_bounding_box(padded, top, left, height, width)
        return moved, tf.gather(labels, chosen)

    # Numbers are shuffled, not images: a buffer of all images would hold them a second time.
    chosen = tf.data.Dataset.range(count).shuffle(count, seed=seed).batch(batch, drop_remainder=True)
    # A random op inside `map` would repeat its numbers in every epoch.
    drawn = tf.data.Dataset.random(seed, rerandomize_each_iteration=True).batch(2, True)
    return tf.data.Dataset.zip((chosen, drawn)).map(look_up).prefetch(2)
