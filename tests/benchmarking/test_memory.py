"""Peak memory is that of the model itself, in a process without TensorFlow, and failure is told."""

import subprocess
import sys

import keras
import pytest
import tensorflow as tf

from tfcompress.benchmarking.memory import peak_memory


@pytest.fixture(scope="module")
def large_file() -> bytes:
    """A float32 file of 16 MB: Dense(2048) on 2048 inputs."""
    model = keras.Sequential([keras.Input((2048,)), keras.layers.Dense(2048)])
    return tf.lite.TFLiteConverter.from_keras_model(model).convert()


@pytest.mark.parametrize("xnnpack", [True, False])
def test_a_large_model_takes_its_weights_more_than_a_small_one(net_files, large_file, xnnpack):
    small = peak_memory(net_files[1], xnnpack=xnnpack)
    large = peak_memory(large_file, xnnpack=xnnpack)
    assert small.reason is None and large.reason is None
    assert 0 < small.peak_bytes < 12_000_000
    growth = large.peak_bytes - small.peak_bytes
    # The file once, and with XNNPACK a repacked copy.
    assert 0.9 * len(large_file) < growth < 3.5 * len(large_file)
    assert large.process_bytes > large.peak_bytes


def test_the_process_is_light(net_files):
    # An interpreter with TensorFlow needs more than 300 MB.
    assert peak_memory(net_files[0]).process_bytes < 120_000_000


def test_a_file_that_does_not_load_gives_the_reason(net_files):
    broken = peak_memory(b"\x00\x00\x00\x00TFL3" + bytes(100))
    assert broken.peak_bytes is None and "exit code" in broken.reason


def test_a_run_that_takes_too_long_is_ended(net_files):
    late = peak_memory(net_files[0], timeout_seconds=0.01)
    assert late.peak_bytes is None and "0.01 s" in late.reason


def test_no_python_executable_is_said(net_files, monkeypatch):
    monkeypatch.setattr(sys, "executable", "")
    assert "no Python executable" in peak_memory(net_files[0]).reason
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert "no process could be started" in peak_memory(net_files[0]).reason


def test_the_module_imports_no_tensorflow():
    code = "import sys, tfcompress.benchmarking.benchmark; print('tensorflow' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "False"
