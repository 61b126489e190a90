"""TensorFlow's optimizer of graphs is off inside of a block, and as it was behind the last one."""

import threading

import numpy as np
import pytest
import tensorflow as tf

from tfcompress.system.graph_passes import unoptimized


def is_off():
    return tf.config.optimizer.get_experimental_options().get("disable_meta_optimizer", False)


@pytest.mark.parametrize("was_off", [False, True])
def test_it_is_left_as_it_was(was_off):
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": was_off})
    try:
        with pytest.raises(KeyError), unoptimized():
            assert is_off()
            raise KeyError
        assert is_off() == was_off
    finally:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})


def test_blocks_of_two_threads_that_overlap():
    first, second, seen = threading.Event(), threading.Event(), []

    def other():
        with unoptimized():
            first.set()
            second.wait(10)
            seen.append(is_off())

    thread = threading.Thread(target=other)
    with unoptimized():
        thread.start()
        assert first.wait(10)
    second.set()
    thread.join(10)
    assert seen == [True] and not is_off()


def test_results_are_those_of_optimized_functions():
    x = np.linspace(-3, 3, 24, dtype="float32").reshape(2, 3, 4)
    function = tf.function(lambda x: tf.nn.relu(tf.reduce_sum(x * 2.0 + 1.0, axis=-1)))
    wanted = function(x).numpy()
    with unoptimized():
        np.testing.assert_allclose(function(x).numpy(), wanted, rtol=1e-6)
    np.testing.assert_allclose(wanted, np.maximum((x * 2 + 1).sum(axis=-1), 0), rtol=1e-6)
