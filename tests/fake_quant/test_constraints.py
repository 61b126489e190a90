"""Constraints hold on final values, together with zeros and shared values."""

import keras
import numpy as np
import pytest

import tfcompress as tfc

L = keras.layers


def fitted(constraint, recipe):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 6)).astype("float32")
    layer = L.Dense(12, activation="relu", kernel_constraint=constraint)
    model = keras.Sequential([keras.Input((6,)), layer, L.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
    compression = tfc.Compression(recipe, verbose=0)
    model.fit(x, x[:, :1], epochs=3, verbose=0, callbacks=[compression])
    return layer.kernel.numpy(), compression


PRUNE, SHARE = [tfc.Prune(0.5)], [tfc.Prune(0.5), tfc.Cluster(4, begin=0.3)]


@pytest.mark.parametrize("recipe", [PRUNE, SHARE], ids=["pruned", "clustered"])
@pytest.mark.parametrize(
    ("constraint", "law"),
    [
        (keras.constraints.MaxNorm(0.5), lambda w: np.linalg.norm(w, axis=0).max() <= 0.5 + 1e-5),
        (keras.constraints.NonNeg(), lambda w: w.min() >= 0),
    ],
    ids=["max_norm", "non_neg"],
)
def test_constraint_zeros_and_shared_values_hold_together(constraint, law, recipe):
    kernel, compression = fitted(constraint, recipe)
    assert law(kernel) and compression.notes == []
    assert int((kernel == 0).sum()) >= 36
    if recipe is SHARE:
        assert len(np.unique(kernel)) <= 5
    before = kernel.copy()
    compression.finish()  # what was settled stays settled
    np.testing.assert_array_equal(before, compression.state.chains()[0].variable.numpy())


def test_a_pruned_kernel_of_unit_norm_is_of_unit_norm():
    kernel, compression = fitted(keras.constraints.UnitNorm(), PRUNE)
    np.testing.assert_allclose(np.linalg.norm(kernel, axis=0), 1.0, atol=1e-4)
    assert int((kernel == 0).sum()) == 36 and compression.notes == []


def test_what_can_not_hold_together_is_told():
    """Twelve columns of norm 1 do not share four values."""
    kernel, compression = fitted(keras.constraints.UnitNorm(), SHARE)
    assert len(np.unique(kernel)) <= 5
    assert any("the constraints of dense" in note and "can't hold" in note for note in compression.notes)
