"""The ranges of a model are real ones wherever an operation refers to them."""

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.fake_quant.range_requests import make_ranges
from tfcompress.fake_quant.transforms.ranges import ActivationRange
from tfcompress.graph.tree import leaves

L = keras.layers


def two_inputs(join):
    """Two inputs that meet in one operation."""
    keras.utils.set_random_seed(0)
    inputs = [keras.Input((4,), name="a"), keras.Input((4,), name="b")]
    return keras.Model(inputs, L.Dense(3, name="head")(join(name="joined")(inputs)))


@pytest.mark.parametrize("join", [L.Multiply, L.Add, L.Subtract, L.Maximum])
def test_every_input_is_a_range_where_it_is_read(join):
    model = two_inputs(join)
    placed, inputs = make_ranges(model, lambda span, op: ActivationRange(), lambda op: False, "test")
    joined = placed[id(dict(leaves(model))["joined"])]
    assert joined.sources == tuple(inputs)
    for placement in placed.values():
        for scale in (*placement.sources, placement.target, placement.table, *placement.ranges().values()):
            assert scale is None or isinstance(scale, (ActivationRange, tuple))


def test_a_product_of_two_inputs_is_simulated_as_the_file_computes_it():
    model = two_inputs(L.Multiply)
    x = list(np.random.default_rng(0).normal(size=(2, 64, 4)).astype("float32"))
    model.compile("sgd", "mse")
    compression = tfc.Compression([tfc.Quantize("int8")], verbose=0)
    model.fit(x, x[0][:, :3], verbose=0, callbacks=[compression])
    artifact = compression.convert(calibration=x)
    assert artifact.is_integer
    step = artifact.outputs[0].scale
    np.testing.assert_allclose(compression.predict(x), artifact.predict(x), atol=1.01 * step)
