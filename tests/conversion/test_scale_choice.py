"""One scale for each clustered kernel, or one for each channel."""

import keras
import numpy as np
import pytest

from tfcompress.conversion.measuring import measure
from tfcompress.conversion.ranges import find_ranges
from tfcompress.conversion.scale_choice import choose_scales
from tfcompress.conversion.writing import write

X = np.random.default_rng(0).normal(size=(48, 64)).astype("float32")


def net(values):
    """Two Dense layers; with `values`, each kernel holds that many values."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(64, "relu"), keras.layers.Dense(64)])
    for layer in model.layers if values else ():
        w = layer.kernel.numpy()
        layer.kernel.assign(np.round(w / np.abs(w).max() * (values // 2)) / (values // 2) * np.abs(w).max())
    return model


def prove(conversion):
    artifact = write(conversion)
    measure(conversion, artifact)
    return artifact


@pytest.fixture
def chosen(conversion_of):
    """Returns the file of one scale per channel, the one that was chosen, and how often another one was made."""

    def choose(values, **options):
        conversion = conversion_of(net(values), samples=X, **options)
        find_ranges(conversion)
        by_channel, tries = prove(conversion), []
        best = choose_scales(conversion, by_channel, lambda c: tries.append(c) or prove(c))
        return by_channel, best, len(tries), conversion.notes

    return choose


def scales_of(artifact):
    """The largest number of scales that a kernel of the file has."""
    tensors = artifact.model.graphs[0].tensors
    return max(np.size(t.scale) for t in tensors if t.dtype == "int8" and tuple(t.shape) == (64, 64))


def test_a_clustered_kernel_gets_one_scale_where_the_file_zips_smaller(chosen):
    by_channel, best, tries, notes = chosen(8)
    assert tries == 1 and best.gzip_size < by_channel.gzip_size
    assert scales_of(best) == 1 < scales_of(by_channel)
    assert any("clustered kernels have one scale each" in note for note in notes)


def test_other_kernels_keep_a_scale_for_each_channel_without_a_try(chosen):
    by_channel, best, tries, _ = chosen(0)
    assert best is by_channel and tries == 0


@pytest.mark.parametrize("scales", ["channel", "tensor"])
def test_what_the_user_chose_stays(chosen, scales):
    by_channel, best, tries, _ = chosen(8, scales=scales)
    assert best is by_channel and tries == 0


def test_a_file_that_loses_agreement_is_not_chosen(conversion_of):
    conversion = conversion_of(net(8), samples=X)
    find_ranges(conversion)
    by_channel = prove(conversion)

    def worse(other):
        artifact = prove(other)
        for row in artifact.metadata["fidelity"]["outputs"]:
            row["agreement"], row["error"] = None if row["agreement"] is None else 0.0, 1.0
        return artifact

    assert choose_scales(conversion, by_channel, worse) is by_channel
    assert any("one scale per channel" in note for note in conversion.notes)
