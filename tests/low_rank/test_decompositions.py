"""Decompositions: exact at full and at the known rank, nearest below."""

import numpy as np
import pytest

from tfcompress.low_rank import decompositions


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def relative(a, b):
    return np.abs(a - b).max() / np.abs(b).max()


def test_svd_is_the_nearest_of_its_rank_and_even():
    matrix = random(12, 7)
    spectrum = np.linalg.svd(matrix, compute_uv=False)
    for rank in (1, 3, 7):
        a, b = decompositions.svd(matrix, rank)
        assert a.shape == (12, rank) and b.shape == (rank, 7)
        np.testing.assert_allclose(np.linalg.norm(a @ b - matrix) ** 2, (spectrum[rank:] ** 2).sum(), atol=1e-12)
        np.testing.assert_allclose(np.linalg.norm(a, axis=0), np.linalg.norm(b, axis=1))


def test_principal_directions_lose_least_of_the_outputs():
    x, w = random(200, 10) * np.linspace(0.05, 3, 10), random(10, 6, seed=1)
    y = x @ w
    v = decompositions.principal(y.T @ y, 2)
    best = np.linalg.norm(y - y @ v @ v.T)
    np.testing.assert_allclose(best**2, (np.linalg.svd(y, compute_uv=False)[2:] ** 2).sum())
    a, b = decompositions.svd(w, 2)
    assert best < 0.95 * np.linalg.norm(y - x @ a @ b)


@pytest.mark.parametrize("shape", [(3, 3, 4, 5), (1, 5, 4, 5), (5, 2, 3, 8)])
def test_spatial_at_full_rank_is_the_kernel(shape):
    kernel = random(*shape)
    vertical, horizontal = decompositions.spatial(kernel, min(shape[0] * shape[2], shape[1] * shape[3]))
    assert relative(np.einsum("xzir,zyro->xyio", vertical, horizontal), kernel) < 1e-12


def test_spatial_recovers_a_known_rank():
    kernel = np.einsum("xir,yro->xyio", random(3, 6, 2), random(3, 2, 8, seed=1))
    vertical, horizontal = decompositions.spatial(kernel, 2)
    assert relative(np.einsum("xzir,zyro->xyio", vertical, horizontal), kernel) < 1e-12


@pytest.mark.parametrize("space", [(3,), (3, 3), (2, 3, 2)])
def test_tucker_recovers_known_ranks_and_the_whole(space):
    kernel = random(10, 3) @ random(*space, 3, 4, seed=1) @ random(4, 9, seed=2)
    for ranks in ((3, 4), (10, 9)):
        left, core, right = decompositions.tucker(kernel, ranks)
        assert core.shape == (*space, *ranks)
        assert relative(left @ core @ right, kernel) < 1e-12


def test_tucker_alternates_below_the_error_of_the_plain_projections():
    kernel = random(3, 3, 10, 12)
    flat = kernel.reshape(9, 10, 12)
    left, core, right = decompositions.tucker(kernel, (3, 3))
    u = np.linalg.eigh(np.einsum("pio,pjo->ij", flat, flat))[1][:, -3:]
    v = np.linalg.eigh(np.einsum("pio,piq->oq", flat, flat))[1][:, -3:]
    plain = np.linalg.norm(u @ u.T @ flat @ v @ v.T - flat)
    assert np.linalg.norm(left @ core @ right - kernel) < plain


def test_tucker_spectra_are_the_squared_singular_values_of_the_channels():
    kernel = random(3, 3, 4, 6)
    inputs, outputs = decompositions.tucker_spectra(kernel)
    unfolded = kernel.transpose(2, 0, 1, 3).reshape(4, -1)
    np.testing.assert_allclose(inputs, np.linalg.svd(unfolded, compute_uv=False) ** 2)
    np.testing.assert_allclose(inputs.sum(), outputs.sum())


@pytest.mark.parametrize(
    ("shape", "rank"), [((3, 3, 16, 24), 4), ((3, 3, 16, 24), 12), ((5, 16, 12), 6), ((3, 3, 8, 8), 10)]
)
def test_cp_recovers_a_known_rank(shape, rank):
    kernel = decompositions.cp_product([random(n, rank, seed=k) for k, n in enumerate(shape)])
    factors = decompositions.cp(kernel, rank)
    assert [f.shape for f in factors] == [(n, rank) for n in shape]
    assert relative(decompositions.cp_product(factors), kernel) < 1e-6


def test_cp_repeats_with_its_seed_and_is_no_worse_with_a_higher_rank():
    kernel = random(3, 3, 6, 8)
    first, again = decompositions.cp(kernel, 4, seed=3), decompositions.cp(kernel, 4, seed=3)
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    errors = [np.linalg.norm(decompositions.cp_product(decompositions.cp(kernel, r)) - kernel) for r in (1, 4, 12)]
    assert errors[0] > errors[1] > errors[2]


def test_cp_of_nothing_is_nothing():
    assert not decompositions.cp_product(decompositions.cp(np.zeros((3, 3, 4, 4)), 2)).any()
