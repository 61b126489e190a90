"""A training of the demo learns, says what it does, and gets the same images from the same seed."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfcompress.demo import training
from tfcompress.demo.training import MNIST_IMAGES, TrainingStage, train


def test_small_sets_are_passed_over_more_often_up_to_five_times():
    stage = TrainingStage(epochs=4, batch=8, rate=1e-3)
    assert stage.scaled(1.0, MNIST_IMAGES).epochs == 4
    assert stage.scaled(1.0, 10 * MNIST_IMAGES).epochs == 4
    assert stage.scaled(1.0, MNIST_IMAGES // 2).epochs == 8
    assert stage.scaled(0.5, 100).epochs == 10


@pytest.fixture
def logits(tiny_model):
    """The tiny model with logits in place of its softmax."""
    return keras.Sequential([*tiny_model.layers[:-1], keras.layers.Dense(3)])


@pytest.mark.slow
def test_it_learns_and_tells(logits, tiny_data):
    x, y = tiny_data
    lines = []
    data = tf.constant(x[:192]), tf.constant(y[:192])
    history = train("tiny", logits, TrainingStage(6, 16, 1e-2), data, (x[192:], y[192:]), say=lines.append)
    assert len(history["loss"]) == len(history["val_loss"]) == len(lines) == 6
    assert history["loss"][-1] < 0.7 * history["loss"][0]
    assert lines[-1].startswith(f"tiny 6/6: loss {history['loss'][-1]:.4f}")


def test_a_batch_is_moved_as_a_whole_by_one_pixel_at_most():
    images = np.zeros((10, 6, 6, 1), "float32")
    images[:, 2, 3] = np.arange(1, 11).reshape(10, 1)
    batches = training._shifted_batches(tf.constant(images), tf.range(10), 5, seed=0)
    seen, shifts = [], set()
    for _ in range(20):
        for moved, labels in batches.as_numpy_iterator():
            places = {tuple(np.argwhere(image[..., 0])[0]) for image in moved}
            assert len(places) == 1
            ((row, column),) = places
            shifts.add((row - 2, column - 3))
            assert np.array_equal(moved.max(axis=(1, 2, 3)), labels + 1)
            seen += labels.tolist()
    assert len(shifts) > 4 and max(abs(step) for shift in shifts for step in shift) == 1
    assert np.bincount(seen).tolist() == [20] * 10


@pytest.mark.slow
@pytest.mark.parametrize("effort", [0.01, 1.0])
def test_at_least_one_epoch_runs(effort, logits, tiny_data):
    x, y = tiny_data
    stage = TrainingStage(0.18, 1_000, 1e-2).scaled(effort, len(x))
    history = train("t", logits, stage, (tf.constant(x), tf.constant(y)), (x, y))
    assert len(history["loss"]) == 1
