"""What a row of the layer table says a layer computes, tried on the layer: each flag that is set holds."""

import keras
import numpy as np
import pytest

from tfcompress.graph.keras_private import takes_training
from tfcompress.graph.tree import leaves
from tfcompress.layer_table.lookup import activation, has_weight, spec_of, weight

L = keras.layers
FLAGS = (
    *("is_linear", "is_homogeneous", "is_positive", "is_identity", "is_sum", "product", "affine_commutes"),
    *("repeats_channels", "relu_cap", "probabilities", "scale_and_shift", "pads_zeros"),
    *("output_factors", "input_kernels"),
)


def described(case):
    """Layers of a case with numbers to try them on, `(layer, spec, arrays)`."""
    for _, op in leaves(case.model()):
        if not isinstance(op, L.Layer) or isinstance(op, L.InputLayer) or case.words:
            continue
        rng = np.random.default_rng(0)
        given = [rng.normal(size=(4, *x.shape[1:])).astype("float32") for x in keras.tree.flatten(op.input)]
        yield op, spec_of(op), given


def run(op, *given):
    """What a layer makes at inference."""
    training = {"training": False} if takes_training(op) else {}
    x = [keras.ops.convert_to_tensor(a) for a in given]
    return np.asarray(op(x if len(x) > 1 else x[0], **training))


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_each_flag_holds(case):
    for op, spec, given in described(case):
        if spec.is_linear and activation(op) is None:
            x, (y,) = given[0], given
            y = np.flip(x, 0)
            zero = run(op, np.zeros_like(x))
            close(run(op, 2 * x - 3 * y) - zero, 2 * (run(op, x) - zero) - 3 * (run(op, y) - zero))
        if spec.is_homogeneous:
            close(run(op, *(8 * a for a in given)), 8 * run(op, *given))
        if spec.is_positive:
            assert run(op, *given).min() >= 0
        if spec.is_identity:
            close(run(op, *given), given[0])
        if spec.is_sum:
            close(run(op, *given), np.sum(given, axis=0))
        if spec.product:
            close(run(op, *given), np.prod(given, axis=0))
        if spec.affine_commutes and not spec.repeats_channels:
            factor, shift = np.random.default_rng(1).normal(size=(2, given[0].shape[-1])).astype("float32")
            close(run(op, given[0] * factor + shift), run(op, given[0]) * factor + shift)
        if spec.repeats_channels:
            close(run(op, *given).reshape(4, -1, given[0].shape[-1]), given[0].reshape(4, -1, given[0].shape[-1]))
        if spec.relu_cap is not None:
            close(run(op, 100 * given[0]), np.clip(100 * given[0], 0, spec.relu_cap))
        if spec.probabilities is not None:
            y = run(op, *given)
            assert y.min() >= 0 and y.max() <= 1
            if spec.probabilities == "softmax":
                close(y.sum(axis=-1), np.ones(y.shape[:-1]))
        if spec.scale_and_shift is not None:
            factor, shift = spec.scale_and_shift(op)
            close(run(op, *given), given[0] * np.asarray(factor) + np.asarray(shift))
        if spec.pads_zeros:
            assert run(op, np.ones_like(given[0])).min() == 0


def test_kernels_and_factors_scale_what_the_row_says(case):
    """Kernels that read the inputs, times s, do what inputs times s do; factors times s scale the outputs."""
    rng = np.random.default_rng(2)
    for op, spec, given in described(case):
        if spec.input_kernels:
            s = rng.uniform(0.5, 2, given[0].shape[-1]).astype("float32")
            wanted = np.asarray(op(*(a * s for a in given)))
            for path in spec.input_kernels:
                _along(weight(op, path), spec.axes[path].index("i"), s)
            close(np.asarray(op(*given)), wanted)
        factors = [weight(op, path) for path in spec.output_factors if has_weight(op, path)]
        if factors and factors[0].shape[-1] == given[0].shape[-1]:
            s, before = rng.uniform(0.5, 2, given[0].shape[-1]), run(op, *given)
            for each in factors:
                _along(each, len(each.shape) - 1, s)
            close(run(op, *given), before * s)


def _along(variable, axis, s):
    shape = [-1 if k == axis else 1 for k in range(len(variable.shape))]
    variable.assign(np.asarray(variable) * s.reshape(shape))


@pytest.fixture(scope="module")
def set_somewhere(all_cases):
    """The flags that the row of some layer sets; the layers of all cases are built once for all flags."""
    specs = [spec for case in all_cases for _, spec, _ in described(case)]
    return {flag for flag in FLAGS if any(getattr(spec, flag) for spec in specs)}


@pytest.mark.parametrize("flag", FLAGS)
def test_each_flag_is_set_somewhere(flag, set_somewhere):
    assert flag in set_somewhere
