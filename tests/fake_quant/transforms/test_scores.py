"""ScoredMask: a mask whose backward pass notes a statistic of weight and dense gradient."""

import numpy as np
import pytest
import tensorflow as tf

from tfcompress.fake_quant.transforms.scores import STATISTICS, ScoredMask

W = np.array([[1.0, -2.0], [3.0, 0.5]], "float32")
MASK = np.array([[1.0, 0.0], [1.0, 1.0]], "float32")
GRADIENTS = [
    np.array([[0.5, 4.0], [-1.0, 2.0]], "float32"),
    np.array([[1, -1], [1, -1]], "float32"),
]
EXPECTED = {
    "gradient": lambda w, g: np.abs(g),
    "taylor": lambda w, g: np.abs(w * g),
    "sensitivity": lambda w, g: (w * g) ** 2,
    "movement": lambda w, g: -w * g,
}


def passed(layer, gradients, compiled=False):
    """What gradient reaches the weight when these come from above, one step after the other."""

    def step(w, g):
        with tf.GradientTape() as tape:
            tape.watch(w)
            y = tf.reduce_sum(layer(w) * g)
        return tape.gradient(y, w)

    step = tf.function(step, jit_compile=True) if compiled else step
    return [step(tf.constant(W), tf.constant(g)).numpy() for g in gradients]


@pytest.fixture
def made(request):
    layer = ScoredMask(request.param, keep=0.9, axes="io")
    layer.build(W.shape)
    layer.mask.assign(MASK)
    return layer


@pytest.mark.parametrize("made", STATISTICS, indirect=True)
@pytest.mark.parametrize("compiled", [False, True])
def test_the_statistic_is_of_the_raw_weight_and_the_gradient_before_the_mask(made, compiled):
    np.testing.assert_array_equal(made(W), W * MASK)
    through = passed(made, GRADIENTS, compiled)
    for got, g in zip(through, GRADIENTS, strict=True):
        np.testing.assert_array_equal(got, g * MASK)
    first, second = (EXPECTED[made.statistic](W, g) for g in GRADIENTS)
    if made.statistic == "movement":
        want = first + second
    else:
        want = 0.9 * (0.1 * first) + 0.1 * second
    np.testing.assert_allclose(made.score, want, rtol=1e-5)
    assert float(made.seen) == 2


@pytest.mark.parametrize("made", ["taylor"], indirect=True)
def test_a_step_that_overflowed_notes_nothing(made):
    passed(made, [np.array([[np.inf, np.nan], [1.0, 1.0]], "float32")])
    assert np.isfinite(made.score).all()
    np.testing.assert_array_equal(np.asarray(made.score)[0], 0)


def test_its_configuration_makes_the_same_again():
    made = ScoredMask("movement", keep=0.5, axes="xyio")
    again = ScoredMask.from_config(made.get_config())
    assert (again.statistic, again.keep, again.axes) == ("movement", 0.5, "xyio")
