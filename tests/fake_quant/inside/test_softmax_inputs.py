"""Which tensors only go into a softmax, and what a mask may cut off in front of one."""

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops

import tfcompress as tfc
from tfcompress.fake_quant.inside.softmax_inputs import softmax_inputs
from tfcompress.fake_quant.transforms.masked_values import LOGITS, SUBTRACTED, TERMS, counted
from tfcompress.graph.trace import trace

X = np.random.default_rng(0).normal(size=(32, 6, 8)).astype("float32")


def model_of(function):
    i = keras.Input((6, 8))
    return keras.Model(i, L.Lambda(function, name="mine")(i))


def roles(function):
    """The roles of the outputs of operations, by the kind of the operation."""
    traced = trace(model_of(function), opens=True)
    found = softmax_inputs(traced.graph)
    return {c.op.kind: found[c.outputs[0]] for c in traced.calls if c.outputs[0] in found and hasattr(c.op, "kind")}


def test_terms_of_both_signs_are_told_apart():
    assert roles(lambda x: ops.softmax(ops.tanh(x) + ops.exp(x))) == {"Tanh": TERMS, "Exp": TERMS, "Add": LOGITS}
    assert roles(lambda x: ops.softmax(ops.tanh(x) - ops.exp(x))) == {
        "Tanh": TERMS,
        "Exp": SUBTRACTED,
        "Subtract": LOGITS,
    }


@pytest.mark.parametrize(
    "function",
    [
        lambda x: ops.softmax(ops.exp(x) * 0.01),  # a product: its input may be of any size
        lambda x: ops.softmax(ops.exp(x) / 100.0),
        lambda x: ops.concatenate([ops.softmax(y := ops.exp(x)), y]),  # another reader
        lambda x: ops.softmax(ops.exp(x), axis=1),  # rows of another axis
    ],
)
def test_what_else_is_read_has_no_role(function):
    assert "Exp" not in roles(function)


def test_what_counts_for_a_range():
    x = np.array([[0.0, 5.0, -1e9], [-1e9, -1e9, -1e9], [900.0, 880.0, 890.0]], "float32")
    row = np.asarray(counted(x, LOGITS))
    floor = 5.0 - 10.0 - np.log(3.0)
    np.testing.assert_allclose(
        row, [[0.0, 5.0, floor], [0.0] * 3, [900.0, 900.0 - 10.0 - np.log(3.0), 890.0]], rtol=1e-5
    )
    assert np.min(counted(x, TERMS)) == -1000.0 and np.max(counted(-x, SUBTRACTED)) == 1000.0
    assert counted(x, "") is x


@pytest.mark.parametrize(
    "code",
    [
        lambda x: ops.softmax(ops.matmul(40.0 * x, ops.transpose(x, (0, 2, 1))) * 0.01) @ x,
        lambda x: ops.softmax(ops.matmul(x, ops.transpose(x, (0, 2, 1))) * 20.0) @ x,
        lambda x: ops.softmax(ops.matmul(x, ops.transpose(x, (0, 2, 1))) * 0.2 - 500.0) @ x,
    ],
)
def test_large_numbers_that_are_no_mask_are_not_cut_off(code):
    """Ranges that cut at a fixed number would be 50 % off and more."""
    model = model_of(code)
    plain = model.predict(X, verbose=0)
    made = tfc.convert(model, calibration=X, diagnose=False).predict(X)
    assert np.sqrt(np.mean((made - plain) ** 2)) < 0.25 * plain.std()


def huge(shape=(), value=1e9):
    return ops.convert_to_tensor(np.full(shape, value, "float32"))


SUMS_WITH_MASKS = {
    "factor and offset": lambda s, m: s + (m * 1e9 - 1e9),
    "factor and sum": lambda s, m: s + (m * 1e9 + -1e9),
    "taken off": lambda s, m: s - (1e9 - m * 1e9),
    "negative factor": lambda s, m: s - (-m * 1e9 + 1e9),
    "the other way": lambda s, m: s + (1.0 - m) * -1e9,
    "both": lambda s, m: s * m + (m - 1.0) * 1e9,
    "in front": lambda s, m: (m * 1e9 - 1e9) + s / 3.0,
    "numbers of NumPy": lambda s, m: s + (m * np.float32(1e9) - np.float32(1e9)),
    "tensors": lambda s, m: s + (m * huge() - huge()),
    "tensors taken off": lambda s, m: s - (huge() - m * huge()),
    "tensors in rows": lambda s, m: s + (huge((1, 1, 6)) * m + huge((1, 1, 6), -1e9)),
    "selected": lambda s, m: ops.where(m > 0.5, s, -1e9),
}


@pytest.mark.parametrize("is_inside", [False, True], ids=["graph", "layer"])
@pytest.mark.parametrize("code", SUMS_WITH_MASKS.values(), ids=SUMS_WITH_MASKS.keys())
def test_masks_made_of_numbers_cost_no_accuracy(code, is_inside):
    """A mask whose offset alone were cut off would leave its factor, and be 70 % off."""

    def attend(x, mask):
        s = ops.matmul(x, ops.transpose(x, (0, 2, 1)))
        return ops.softmax(code(s, ops.expand_dims(mask, 1))) @ x

    i, m = keras.Input((6, 8), name="x"), keras.Input((6,), name="mask")
    made = L.Lambda(lambda both: attend(*both))([i, m]) if is_inside else attend(i, m)
    model = keras.Model([i, m], made)
    mask = (np.random.default_rng(1).random((32, 6)) > 0.4).astype("float32")
    mask[:, 0] = 1.0
    artifact = tfc.convert(model, calibration=[X, mask], diagnose=False)
    plain = model.predict([X, mask], verbose=0)
    assert artifact.is_integer
    assert np.sqrt(np.mean((artifact.predict({"x": X, "mask": mask}) - plain) ** 2)) < 0.06 * plain.std()
