"""Decompositions: approximates matrices and kernels by products of smaller ones, with NumPy in float64.

Each function returns factors whose product is the best of its rank (SVD, PCA), or near it (Tucker, CP).
"""

import numpy as np

_SETTLED = 1e-5  # alternating least squares ends when a round's relative gain is below this

_RIDGE = 1e-14  # relative; avoids a singular system when two products have become equal


def svd(matrix: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns two matrices whose product is the best approximation of a rank (Eckart and Young, 1936).

    Both factors contain the square root of the singular values.

    Args:
        matrix: `(i, o)`.
        rank: 1 to min(i, o).

    Returns:
        `(i, rank)` and `(rank, o)`.

    Example:
        >>> a, b = svd(np.diag([3.0, 2.0, 1.0]), 2)
        >>> np.round(a @ b, 6).diagonal().tolist()
        [3.0, 2.0, 0.0]
    """
    u, s, v = np.linalg.svd(matrix, full_matrices=False)
    root = np.sqrt(s[:rank])
    return u[:, :rank] * root, root[:, None] * v[:rank]


def principal(covariance: np.ndarray, rank: int) -> np.ndarray:
    """Returns the principal components of a covariance `(o, o)`: orthonormal directions `(o, rank)`.

    With V these directions, `W V V'` is the matrix W' of that rank with the smallest `||X W - X W'||`.
    """
    return np.linalg.eigh(covariance)[1][:, ::-1][:, :rank]


def spatial(kernel: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """Splits a k x k convolution into a k x 1 and a 1 x k one.

    Jaderberg et al., "Speeding up Convolutional Neural Networks with Low Rank Expansions", 2014, by SVD.

    Args:
        kernel: `(x, y, i, o)`.
        rank: 1 to min(x i, y o).

    Returns:
        `(x, 1, i, rank)` and `(1, y, rank, o)`.
    """
    x, y, i, o = kernel.shape
    vertical, horizontal = svd(kernel.transpose(0, 2, 1, 3).reshape(x * i, y * o), rank)
    return vertical.reshape(x, 1, i, rank), horizontal.reshape(1, rank, y, o).transpose(0, 2, 1, 3)


def tucker(kernel: np.ndarray, ranks: tuple[int, int], rounds: int = 10) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decomposes a kernel into a small core kernel between two channel matrices (Tucker).

    Higher-order SVD, then alternating (HOOI; De Lathauwer et al., "On the Best Rank-1 and Rank-(R1, R2, ..., RN)
    Approximation of Higher-Order Tensors", 2000; for convolutions Kim et al., "Compression of Deep Convolutional
    Neural Networks for Fast and Low Power Mobile Applications", 2016).

    Args:
        kernel: `(..., i, o)`.
        ranks: Numbers of channels inside, `(1 to i, 1 to o)`.
        rounds: Largest number of alternating rounds.

    Returns:
        `(i, ranks[0])`, `(..., ranks[0], ranks[1])`, `(ranks[1], o)`.
    """
    shape = kernel.shape
    flat = kernel.reshape(-1, *shape[-2:])  # (positions, i, o)
    right = _leading(np.einsum("pio,piq->oq", flat, flat), ranks[1])
    kept = 0.0
    for _ in range(rounds):
        half = flat @ right
        left = _leading(np.einsum("pir,pjr->ij", half, half), ranks[0])
        half = np.einsum("pio,ir->pro", flat, left)
        right = _leading(np.einsum("pro,prq->oq", half, half), ranks[1])
        core = half @ right
        now = float(np.sum(core**2))
        if now - kept <= 1e-12 * now:
            break
        kept = now
    return left, core.reshape(*shape[:-2], *core.shape[1:]), right.T


def _leading(gram, rank):
    return np.linalg.eigh(gram)[1][:, ::-1][:, :rank]


def tucker_spectra(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the squared singular values of a kernel `(..., i, o)` along input and output channels, largest first."""
    flat = kernel.reshape(-1, *kernel.shape[-2:])
    grams = np.einsum("pio,pjo->ij", flat, flat), np.einsum("pio,piq->oq", flat, flat)
    ins, outs = (np.maximum(np.linalg.eigvalsh(gram)[::-1], 0.0) for gram in grams)
    return ins, outs


def cp(kernel: np.ndarray, rank: int, seed: int = 0, rounds: int = 300, starts: int = 3) -> list[np.ndarray]:
    """Decomposes a kernel into a sum of `rank` products of one vector per axis (CP), by alternating least squares.

    Lebedev et al., "Speeding-up Convolutional Neural Networks Using Fine-tuned CP-Decomposition", 2015. If the rank is
    at most the number of input and of output channels, the first start is algebraic (Leurgans, Ross and Abel, "A
    Decomposition for Three-Way Arrays", 1993) and exact for a kernel of that rank; the other starts are random.

    Args:
        kernel: `(..., i, o)`.
        rank: Number of products.
        seed: Seed of the random starts.
        rounds: Largest number of alternating rounds per start.
        starts: Number of starts; the best is kept.

    Returns:
        One factor `(size, rank)` per axis, of columns of equal norm.

    Example:
        >>> a, b = np.random.default_rng(0).normal(size=(2, 8, 3))
        >>> c = np.random.default_rng(1).normal(size=(3, 3))
        >>> kernel = np.einsum("xr,ir,or->xio", c, a, b)
        >>> bool(np.abs(cp_product(cp(kernel, 3)) - kernel).max() < 1e-9)
        True
    """
    rng = np.random.default_rng(seed)
    norm, best, least = float(np.linalg.norm(kernel)), None, np.inf
    for number in range(starts):
        factors = _algebraic(kernel, rank, rng) if number == 0 and rank <= min(kernel.shape[-2:]) else None
        if factors is None:
            factors = [rng.normal(size=(n, rank)) for n in kernel.shape]
        factors = _alternated(kernel, factors, rounds)
        error = float(np.linalg.norm(cp_product(factors) - kernel))
        if error < least:
            best, least = factors, error
        if least <= 1e-10 * norm:
            break
    return _even(best)


def cp_product(factors: list[np.ndarray]) -> np.ndarray:
    """Returns the kernel that CP factors multiply to."""
    letters = "abcde"[: len(factors)]
    return np.einsum(f"{','.join(f'{x}r' for x in letters)}->{letters}", *factors, optimize=True)


def _algebraic(kernel, rank, rng):
    """Finds CP factors by linear algebra: two random sums of slices of the Tucker core share their eigenvectors."""
    left, core, right = tucker(kernel, (rank, rank))
    slices = core.reshape(-1, rank, rank)
    one, two = (np.tensordot(rng.normal(size=len(slices)), slices, 1) for _ in range(2))
    try:
        mixing = np.linalg.eig(one @ np.linalg.pinv(two))[1]
        inputs = left @ np.real(mixing)
        inverse = np.linalg.pinv(np.real(mixing))
    except np.linalg.LinAlgError:
        return None
    # each row of the unmixed slices is a product of the spatial and the output vector
    each = np.einsum("ri,pio->rpo", inverse, slices @ right)
    spatial_part, outputs = [], []
    for part in each:
        u, s, v = np.linalg.svd(part, full_matrices=False)
        spatial_part.append(u[:, 0] * s[0])
        outputs.append(v[0])
    return [*_axes(np.array(spatial_part), kernel.shape[:-2]), inputs, np.array(outputs).T]


def _axes(vectors, shape):
    """Splits vectors over space into one vector per axis."""
    if len(shape) == 1:
        return [vectors.T]
    found = []
    for vector in vectors:
        first, rest = svd(vector.reshape(shape[0], -1), 1)
        found.append((first[:, 0], rest[0]))
    return [np.array([f for f, _ in found]).T, *_axes(np.array([r for _, r in found]), shape[1:])]


def _alternated(kernel, factors, rounds):
    size, before = float(np.sum(kernel**2)), np.inf
    for _ in range(rounds):
        for k in range(kernel.ndim):
            target = _contracted(kernel, factors, k)
            gram = np.multiply.reduce([f.T @ f for j, f in enumerate(factors) if j != k])
            gram += np.eye(len(gram)) * (_RIDGE * np.trace(gram) + 1e-300)
            factors[k] = np.linalg.solve(gram, target.T).T
            if k < kernel.ndim - 1:  # the last factor holds the norm
                factors[k] = factors[k] / np.maximum(np.linalg.norm(factors[k], axis=0), 1e-300)
        # with the last factor solved, ||K - K'||^2 = ||K||^2 - <K, K'>
        error = size - float(np.sum(target * factors[-1]))
        if error <= 1e-24 * size or before - error <= _SETTLED * abs(error):
            break
        before = error
    return factors


def _contracted(kernel, factors, axis):
    """Contracts a kernel with the factors of all axes but one, the largest axis first: `(size, rank)`."""
    others = sorted((k for k in range(kernel.ndim) if k != axis), key=lambda k: -kernel.shape[k])
    total = np.tensordot(kernel, factors[others[0]], (others[0], 0))  # the other axes, rank
    left = [k for k in range(kernel.ndim) if k != others[0]]
    for k in others[1:]:
        total = np.einsum("x...r,xr->...r", np.moveaxis(total, left.index(k), 0), factors[k])
        left.remove(k)
    return total


def _even(factors):
    norms = np.array([np.linalg.norm(f, axis=0) for f in factors])
    whole = np.prod(norms, axis=0) ** (1 / len(factors))
    return [f * np.where(n > 0, whole / np.where(n > 0, n, 1.0), 0.0) for f, n in zip(factors, norms, strict=True)]
