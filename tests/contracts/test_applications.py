"""Architectures that Keras ships: half of every group of channels goes, and the logits are those of the law.

Five of the forty that `tests/bench/applications.py` measures, on small pictures.
"""

import pytest

pytestmark = pytest.mark.sampled(5)

SIZES = {"MobileNetV2": 32, "MobileNetV3Small": 32, "EfficientNetB0": 32, "DenseNet121": 32, "ConvNeXtTiny": 32}


@pytest.fixture(scope="module")
def bench(bench_module):
    """The benchmark as a module."""
    return bench_module("applications")


def test_the_benchmark_knows_every_architecture(bench):
    import keras

    shipped = {name for name in dir(keras.applications) if name[0].isupper()}
    assert set(bench.NAMES) == shipped and len(bench.NAMES) == len(shipped) >= 40


@pytest.mark.slow
@pytest.mark.parametrize("name", SIZES)
def test_half_of_the_channels_can_go(bench, name):
    found = bench.exact(name, SIZES[name])
    assert found["difference"] <= bench.LIMIT and found["changed"] > 0.01
    assert found["parameters_after"] < 0.6 * found["parameters"] and found["macs_after"] < 0.6 * found["macs"]
