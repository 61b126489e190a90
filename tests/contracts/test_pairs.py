"""Every ordered pair of techniques, and all together, in place and in a session: each one keeps its own law.

Read twice: from the float kernels after `fit`, and from the bytes of the `.tflite`.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.tflite.schema.flatbuffer import read
from tfcompress.training.plan import make_plan

pytestmark = pytest.mark.sampled(6)

L = keras.layers
SPARSITY, CLUSTERS = 0.6, 8
FOLDED = "conv"  # the layer whose BatchNormalization goes into its kernel


@dataclass(frozen=True)
class Kernel:
    """A kernel as it trained, as the file holds it (output channels first); has it one scale?"""

    name: str
    trained: np.ndarray
    filed: np.ndarray
    one_scale: bool


def net():
    """Conv-BatchNorm-ReLU, Conv-ReLU, Dense on (8, 8, 2); kernels of 180, 1200, 1620 weights."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            L.Conv2D(10, 3, use_bias=False, name=FOLDED),
            L.BatchNormalization(momentum=0.8, name="norm"),
            L.ReLU(name="relu"),
            L.Conv2D(30, 2, strides=2, activation="relu", name="second"),
            L.Flatten(name="flat"),
            L.Dense(6, name="head"),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    return model


def data():
    """192 images and their class 0..5: which of six columns is bright."""
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0.0, 0.5, (192, 8, 8, 2)).astype("float32"), rng.integers(0, 6, 192)
    for image, label in zip(x, y, strict=True):
        image[:, label + 1] += 0.5
    return x, y


# the law of each technique; a new technique is one line in TECHNIQUES


def pruned(kernel: Kernel):
    """Exactly round(s * n) zeros in float, at least as many in the file."""
    wanted = round(SPARSITY * kernel.trained.size)
    assert int((kernel.trained == 0).sum()) == wanted
    assert int((kernel.filed == 0).sum()) >= wanted


def clustered(kernel: Kernel):
    """At most k values and the zero in float, and in the file for each scale."""
    assert np.unique(kernel.trained[kernel.trained != 0]).size <= CLUSTERS
    rows = kernel.filed.reshape(1, -1) if kernel.one_scale else kernel.filed
    for row in rows.reshape(len(rows), -1):
        assert np.unique(row[row != 0]).size <= CLUSTERS


def quantized(kernel: Kernel):
    """Integer codes in the narrow range; the largest weight of each scale has the largest code."""
    assert kernel.filed.dtype == np.int8 and kernel.filed.min() >= -127
    rows = kernel.filed.reshape(1, -1) if kernel.one_scale else kernel.filed
    largest = np.abs(rows.reshape(len(rows), -1).astype(int)).max(axis=1)
    assert np.isin(largest, [0, 127]).all()


def weights_quantized(kernel: Kernel):
    """As `quantized` where the kernel has the 1024 weights below which LiteRT keeps them float."""
    if kernel.filed.size >= 1024:
        assert kernel.filed.dtype == np.int8 and kernel.filed.min() >= -127


@dataclass(frozen=True)
class Case:
    """A technique and its law."""

    make: Callable
    law: Callable[[Kernel], None]


def nothing_of_its_own(kernel: Kernel):
    """Distill treats no kernel: its law is what the model answers, see `fitted`."""


TECHNIQUES = {
    "Prune": Case(lambda: tfc.Prune(SPARSITY), pruned),
    "Cluster": Case(lambda: tfc.Cluster(CLUSTERS), clustered),
    "Quantize": Case(lambda: tfc.Quantize("int8"), quantized),
    "Quantize weights": Case(lambda: tfc.Quantize("weights"), weights_quantized),
    "Distill": Case(lambda: tfc.Distill(teacher(), alpha=0.0), nothing_of_its_own),
}


def combinations():
    """Singles, ordered pairs and ordered triples, each kind of technique once."""
    for size in (1, 2):
        yield from itertools.permutations(TECHNIQUES, size)
    # of all together one order and its opposite: order changes nothing but who is asked first
    for last in ("Quantize", "Quantize weights"):
        yield from (("Prune", "Cluster", last), (last, "Cluster", "Prune"))
    yield from (("Prune", "Cluster", "Quantize", "Distill"), ("Distill", "Quantize", "Cluster", "Prune"))


COMBINATIONS = [names for names in combinations() if len({n.split()[0] for n in names}) == len(names)]
# a session makes the plan of the callback, whose order the first test below pins: one order of each set is enough
SORTED = [names for names in COMBINATIONS if list(names) == sorted(names, key=list(TECHNIQUES).index)]
RUNS = [(names, False) for names in COMBINATIONS] + [(names, True) for names in SORTED]


@cache
def teacher():
    """The net after a training on the right labels."""
    model, (x, y) = net(), data()
    model.fit(x, y, epochs=6, batch_size=32, verbose=0)
    assert model.evaluate(x, y, verbose=0, return_dict=True)["accuracy"] > 0.95
    return model


def fitted(names, in_session: bool, epochs: int = 4):
    """Returns the trained model, plain, and its compression.

    Whoever has a teacher gets labels that say nothing; what it knows in the end, it has from the teacher.
    """
    model, (x, y) = net(), data()
    recipe = [TECHNIQUES[n].make() for n in names]
    labels = np.zeros_like(y) if "Distill" in names else y
    compression, student = tfc.Compression(recipe, verbose=0), model
    if in_session:
        session = tfc.compress(model, recipe, verbose=0)
        compression, student = session.callback, session.model
        student.compile(keras.optimizers.Adam(0.01), model.loss, metrics=["accuracy"])
    student.fit(x, labels, epochs=epochs, batch_size=32, verbose=0, callbacks=[compression])
    final = compression.finish()
    if in_session:
        final.compile(loss=model.loss, metrics=["accuracy"])
    return final, compression


@pytest.mark.parametrize("names", SORTED, ids=" + ".join)
def test_the_order_in_a_recipe_changes_nothing(names):
    """The same plan and the same chains, whoever is named first."""
    model, found = net(), []
    for order in itertools.permutations(names):
        plan = make_plan(model, [TECHNIQUES[n].make() for n in order])
        chains = [[type(t).__name__ for t in chain.transforms] for chain in plan.state.chains()]
        found.append((plan.text(), chains, sorted(plan.extras)))
    assert all(each == found[0] for each in found)


def kernels(model, artifact) -> list[Kernel]:
    """The kernels of the net beside those of the file, matched by shape."""
    filed = {k.shape: (name, k) for name, k in artifact.kernels().items()}
    graphs = read(artifact.content).graphs
    scales = {t.name: t.scale for graph in graphs for t in graph.tensors}
    found = []
    for layer in (FOLDED, "second", "head"):
        w = model.get_layer(layer).kernel.numpy()
        name, codes = filed[tuple(np.moveaxis(w, -1, 0).shape)]
        scale = scales[name]
        found.append(Kernel(layer, w, codes, scale is not None and len(scale) == 1))
    return found


@pytest.mark.sampled(24)
@pytest.mark.parametrize(
    ("names", "in_session"), RUNS, ids=[" + ".join(n) + (" session" if s else "") for n, s in RUNS]
)
def test_each_technique_keeps_its_law_beside_the_others(names, in_session):
    x, y = data()
    model, compression = fitted(names, in_session)
    artifact = compression.convert(calibration=x[:48])
    assert compression.notes == []
    for kernel in kernels(model, artifact):
        for name in names:
            TECHNIQUES[name].law(kernel)
    for report in artifact.metadata.get("parity", ()):  # of what was trained, or of the calibrated net
        assert report["largest_gap"] <= 1.001 and report["agreement"] > 0.95
    simulated = compression.predict(x)
    gap = np.abs(artifact.predict(x) - simulated).max()
    if "Quantize" in names:
        assert artifact.is_integer and gap <= 1.001 * artifact.outputs[0].scale
    if "Quantize weights" in names:  # a dynamic-range file rounds activations on the fly
        assert not artifact.is_integer and gap < 0.05 * np.abs(simulated).max()
    assert model.evaluate(x, y, verbose=0, return_dict=True)["accuracy"] > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("names", [("Prune", "Cluster", "Quantize")], ids=" + ".join)
def test_one_scale_where_a_clustered_kernel_can_have_one(names):
    """k shared values stay k codes, but where a folded normalization scales each channel."""
    x, _ = data()
    model, compression = fitted(names, in_session=False, epochs=1)
    found = {k.name: k.one_scale for k in kernels(model, compression.convert(calibration=x[:48]))}
    assert found == {FOLDED: False, "second": True, "head": True}
