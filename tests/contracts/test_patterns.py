"""Patterns of zeros and shared values are right for every row of the layer table, by channel and by tensor.

Which axes of a weight count output channels is written down here once more, by hand; what must be off is computed from
that with NumPy alone.
"""

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.fake_quant.transforms.quantize import QuantizeWeight
from tfcompress.graph.tree import leaves
from tfcompress.layer_table.lookup import has_weight, rows, weight

L = keras.layers

# Case and weight -> axes whose entries are output channels; each channel sums over all other axes.
OUTPUTS = {
    "Dense": {"kernel": (1,)},
    "EinsumDense": {"kernel": (1,)},
    "EinsumDense-heads": {"kernel": (1, 2)},
    "Conv1D": {"kernel": (2,)},
    "Conv2D": {"kernel": (3,)},
    "Conv2D-groups": {"kernel": (3,)},
    "Conv3D": {"kernel": (4,)},
    "Conv1DTranspose": {"kernel": (1,)},
    "Conv2DTranspose": {"kernel": (2,)},
    "Conv3DTranspose": {"kernel": (3,)},
    "DepthwiseConv1D": {"kernel": (1, 2)},
    "DepthwiseConv2D": {"kernel": (2, 3)},
    "SeparableConv1D": {"depthwise_kernel": (1, 2), "pointwise_kernel": (2,)},
    "SeparableConv2D": {"depthwise_kernel": (2, 3), "pointwise_kernel": (3,)},
    "Embedding": {"embeddings": (1,)},
    "SimpleRNN": {"cell/kernel": (1,), "cell/recurrent_kernel": (1,)},
    "LSTM": {"cell/kernel": (1,), "cell/recurrent_kernel": (1,)},
    "GRU": {"cell/kernel": (1,), "cell/recurrent_kernel": (1,)},
    "Bidirectional": {
        f"{side}_layer/cell/{name}": (1,) for side in ("forward", "backward") for name in ("kernel", "recurrent_kernel")
    },
    "TimeDistributed": {"layer/kernel": (1,)},
    "TimeDistributed-Conv2D": {"layer/kernel": (3,)},
    "MultiHeadAttention": {
        "query_dense/kernel": (1, 2),
        "key_dense/kernel": (1, 2),
        "value_dense/kernel": (1, 2),
        "output_dense/kernel": (2,),
    },
    "GroupQueryAttention": {
        "_query_dense/kernel": (1, 2),
        "_key_dense/kernel": (1, 2),
        "_value_dense/kernel": (1, 2),
        "_output_dense/kernel": (2,),
    },
}
SPARSITY, VALUES = 0.6, 3
PATTERNS = ("unstructured", "2:4", "4x2", "channel")


class Standardized(L.Conv2D):
    """A convolution that computes something else than the layer it inherits from, with the same kernel."""

    def call(self, x):
        kernel = self.kernel - keras.ops.mean(self.kernel, (0, 1, 2))
        return keras.ops.conv(x, kernel, strides=list(self.strides), padding=self.padding)


class Doubled(L.MultiHeadAttention):
    """Attention whose answer is not that of the layer it inherits from."""

    def call(self, query, value, key=None):
        return 2.0 * super().call(query, value, key)


def _own_conv(x):
    return Standardized(5, 3)(x)


def _own_attention(x):
    return Doubled(2, 3)(x, x)


OWN = {
    "Standardized": (_own_conv, (6, 6, 4), OUTPUTS["Conv2D"]),
    "Doubled": (_own_attention, (6, 4), OUTPUTS["MultiHeadAttention"]),
}


def model_of(name, case_named):
    """The net of a case, or of a layer with a call of its own; and what its weights' axes mean."""
    if name not in OWN:
        return case_named(name).model(), OUTPUTS[name]
    make, shape, outputs = OWN[name]
    keras.utils.set_random_seed(0)
    inputs = keras.Input(shape)
    return keras.Model(inputs, make(inputs)), outputs


def columns(w, outputs):
    """A weight as one column for each output channel."""
    inputs = [k for k in range(w.ndim) if k not in outputs]
    return np.transpose(w, [*inputs, *outputs]).reshape(-1, int(np.prod([w.shape[k] for k in outputs])))


def lowest(scores, count):
    """The `count` lowest scores."""
    off = np.zeros(scores.size, bool)
    off[np.argsort(scores, axis=None)[:count]] = True
    return off.reshape(scores.shape)


def off_by(pattern, size):
    """Which weights of a matrix, a column an output channel, a pattern takes out."""
    rows_, columns_ = size.shape
    if pattern == "unstructured":
        return lowest(size, round(SPARSITY * size.size))
    if pattern == "channel":
        gone = lowest(size.mean(axis=0), min(round(SPARSITY * columns_), columns_ - 1))
        return np.broadcast_to(gone, size.shape)
    off = np.zeros(size.shape, bool)
    if pattern == "2:4":
        for column in range(columns_):
            for start in range(0, rows_ - 3, 4):
                off[start + np.argsort(size[start : start + 4, column])[:2], column] = True
        return off
    tiles = [(slice(r, r + 4), slice(c, c + 2)) for r in range(0, rows_, 4) for c in range(0, columns_, 2)]
    worth = np.array([size[tile].mean() for tile in tiles])
    for k in np.argsort(worth)[: round(SPARSITY * len(tiles))]:
        off[tiles[k]] = True
    return off


def kernels_of(model, outputs):
    """By path, the variables of the layer under test."""
    (layer,) = [op for _, op in leaves(model) if all(has_weight(op, path) for path in outputs)]
    return {path: weight(layer, path) for path in outputs}


def finished(model, *recipe):
    """Runs a recipe to its end without training."""
    compression = tfc.Compression(list(recipe), verbose=0)
    compression.set_model(model)
    compression.finish()
    return compression


def test_every_row_with_kernels_is_here(all_cases):
    listed = {t for case in all_cases if case.name in OUTPUTS for t in case.types()}
    assert {t for t, row in rows().items() if t.__module__.startswith("keras.") and row.kernels} <= listed


@pytest.mark.sampled(7)
@pytest.mark.parametrize("per_channel", [False, True], ids=["tensor", "channel"])
@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("name", [*OUTPUTS, *OWN])
def test_what_is_off_and_what_is_shared(name, pattern, per_channel, case_named):
    model, outputs = model_of(name, case_named)
    kernels = kernels_of(model, outputs)
    before = {path: np.array(v) for path, v in kernels.items()}
    sparsity = 0.5 if pattern == "2:4" else SPARSITY  # N:M says how many go
    finished(model, tfc.Prune(sparsity, pattern=pattern), tfc.Cluster(VALUES, per_channel=per_channel))
    for path, variable in kernels.items():
        after = columns(np.array(variable), outputs[path])
        off = off_by(pattern, np.abs(columns(before[path], outputs[path])).astype("float64"))
        np.testing.assert_array_equal(after == 0, off, err_msg=path)
        found = [np.unique(column[column != 0]).size for column in after.T]
        together = np.unique(after[after != 0]).size
        assert max(found) <= VALUES, path
        if not per_channel:
            assert together <= VALUES, path
        elif sum(min(VALUES, n) for n in (~off).sum(axis=0)) > 2 * VALUES:
            assert together > VALUES, f"{path}: all channels share one set of values"


@pytest.mark.parametrize("name", [*OUTPUTS, *OWN])
def test_one_channel_always_stays(name, case_named):
    model, outputs = model_of(name, case_named)
    kernels = kernels_of(model, outputs)
    finished(model, tfc.Prune(0.99, pattern="channel"))
    for path, variable in kernels.items():
        alive = (columns(np.array(variable), outputs[path]) != 0).any(axis=0)
        assert alive.sum() == len(alive) - min(round(0.99 * len(alive)), len(alive) - 1) > 0, path


@pytest.mark.sampled(5)
@pytest.mark.parametrize("per_channel", [False, True], ids=["tensor", "channel"])
@pytest.mark.parametrize("name", [*OUTPUTS, *OWN])
def test_codes_are_those_of_a_scale_per_channel_or_of_one(name, per_channel, case_named):
    model, outputs = model_of(name, case_named)
    kernels = {id(v): path for path, v in kernels_of(model, outputs).items()}
    compression = tfc.Compression([tfc.Quantize("int8", per_channel=per_channel)], verbose=0)
    compression.set_model(model)
    chains = [c for c in compression.state.chains() if id(c.variable) in kernels]
    assert len(chains) == len(kernels)
    for chain in chains:
        path = kernels[id(chain.variable)]
        assert chain.find(QuantizeWeight) is not None
        w = columns(np.array(chain.variable), outputs[path]).astype("float64")
        peak = np.abs(w).max(axis=0, keepdims=True) if per_channel else np.abs(w).max()
        expected = np.rint(w / (peak / 127)) * (peak / 127)
        found = columns(np.array(chain.value()), outputs[path])
        np.testing.assert_allclose(found, expected, atol=1e-6 + 1e-3 * float(np.max(peak)) / 127, err_msg=path)
