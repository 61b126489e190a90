"""Silence ends for everybody, whoever asked for it, in whatever order."""

import io
import logging
import os
import sys
import threading

import keras
import numpy as np
from absl import logging as absl_logging

import tfcompress as tfc
from tfcompress.system.silence import quiet


def test_silence_of_several_threads_ends_with_the_last():
    stdout, target = sys.stdout, os.readlink("/proc/self/fd/2")
    both_in, first_out = threading.Barrier(2), threading.Event()

    def first():
        with quiet():
            both_in.wait(10)
        first_out.set()

    def second():
        with quiet():
            both_in.wait(10)
            first_out.wait(10)
            found.append(sys.stdout is not stdout)

    found = []
    threads = [threading.Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found == [True] and sys.stdout is stdout and os.readlink("/proc/self/fd/2") == target


def test_conversion_in_a_notebook_writes_nothing_to_its_stream_of_errors(monkeypatch):
    # A notebook's stream is an object of Python's, not descriptor 2.
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(logging.root, "handlers", list(logging.root.handlers))
    absl_logging.use_absl_handler()
    level = absl_logging.get_absl_logger().level
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    tfc.convert(model, calibration=np.random.default_rng(0).normal(size=(64, 4)).astype("float32"))
    assert stream.getvalue() == ""
    assert absl_logging.get_absl_logger().level == level
