"""The simulation of the file, rounded finely, is the model: for every row of the table."""

import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.export.simulate import observe, simulate
from tfcompress.training.plan import make_plan

pytestmark = pytest.mark.sampled(6)


@pytest.mark.sampled(9)
def test_finely_rounded_the_simulation_is_the_model(case):
    """At 16 bits nothing is left but what folding and placement would have broken."""
    model, x = case.model(between=True), case.data(16)
    fine = tfc.QuantSpec(weight_bits=16, activation_bits=16)
    state = make_plan(model, [tfc.Quantize(fine)]).state
    observe(model, state, [{"x": row[None]} for row in x])
    plain = model.predict(x, verbose=0)
    assert np.abs(simulate(model, state, x) - plain).max() <= 0.01 * np.abs(plain).max() + 1e-3
