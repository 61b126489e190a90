"""MergeChannels: merges similar neurons and filters into one, and adds up the weights of the layers that read them.

Without data after Srinivas and Babu, "Data-free parameter pruning for deep neural networks", 2015; with data, a
removed channel is approximated from a remaining one by least squares.
"""

import heapq
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Any

import keras
import numpy as np

from tfcompress.calibration.evidence import Evidence
from tfcompress.channels.dependency import Channels, groups
from tfcompress.layer_table.lookup import spec_of
from tfcompress.similarity.by_activations import CompareActivations, reads_op_input
from tfcompress.similarity.by_weights import SimilarityFeatures, collect_features
from tfcompress.similarity.candidates import ComparableGroups, CompareWeights, alike
from tfcompress.similarity.merge import merge_channel_groups, merges, representatives
from tfcompress.techniques.base import percent
from tfcompress.techniques.protocol.graph_technique import GraphTechnique, check_names, setting_of
from tfcompress.techniques.protocol.hook_values import Change, Left, Operated
from tfcompress.text.printable import shown
from tfcompress.validation import checks

_ROUNDING = 1e-12  # channels that differ by less are equal
_LEAST = 1e-30


@dataclass
class _Family:
    """Groups of channels that may merge with one another: their similarity, their weight, and the merges so far."""

    alike: ComparableGroups
    like: np.ndarray
    matter: np.ndarray
    level: float
    joined: list[tuple[int, int]]


@keras.saving.register_keras_serializable("tfcompress")
@dataclass(frozen=True)
class MergeChannels(GraphTechnique):
    """Merges similar channels (filters, units, attention heads) of a layer.

    One of them stays. Layers that read the others read it instead, with the weights for both added up. Where one
    channel stays a positive multiple of the other up to the reader (through ReLU, pooling, BatchNormalization), its
    weights are multiplied by that factor first, so that channels equal up to a factor merge without any change of the
    output. Where the magnitude matters (sigmoid, gates of recurrent layers) only equal channels are fully similar.

    Args:
        amount: Fraction of the channels to merge away, 0..1: those whose merging changes the readers' inputs least.
        threshold: Instead: merge channels of at least this similarity, 0..1; 1 is equal.
        similarity: How channels are compared: "cosine" of the weights that compute them, normalizations included, or
            "activation", their correlation on data where they are read. With the latter each reader approximates the
            removed channels from the one that stays, by a factor and a constant of least squared error.
        scope: "layer" takes `amount` of every layer's channels, "global" of all channels together.
        where: Layers whose channels may merge; None for all.
        overrides: Other amounts or thresholds by layer name or type; None leaves the layer alone.

    Raises:
        ValueError: If a value is out of range or two values contradict.

    Example:
        >>> import keras, numpy as np, tfcompress as tfc
        >>> layers = [keras.layers.Dense(4, activation="relu", name="a"), keras.layers.Dense(2)]
        >>> model = keras.Sequential([keras.Input((3,)), *layers])
        >>> kernel = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
        >>> kernel[:, 3] = 2 * kernel[:, 1]
        >>> model.layers[0].set_weights([kernel, np.zeros(4)])
        >>> small = tfc.MergeChannels(threshold=1.0).apply(model)
        >>> x = np.ones((1, 3), "float32")
        >>> small.get_layer("a").units, bool(np.allclose(small(x), model(x), atol=1e-5))
        (3, True)
    """

    amount: float | None = None
    threshold: float | None = None
    similarity: str = "cosine"
    scope: str = "layer"

    order = 22

    def __post_init__(self) -> None:
        """Validates the fields."""
        if (self.amount is None) == (self.threshold is None):
            raise ValueError(
                "MergeChannels: give either amount or threshold. "
                f"Received: amount={shown(self.amount)}, threshold={shown(self.threshold)}."
            )
        for name, allowed in (("similarity", ("cosine", "activation")), ("scope", ("layer", "global"))):
            checks.choice("MergeChannels", name, getattr(self, name), allowed)
        self.set(**{"threshold" if self.amount is None else "amount": self.accept(self.default())})
        super().__post_init__()
        if self.scope == "global" and any(v is not None for v in (self.overrides or {}).values()):
            raise ValueError(
                "MergeChannels: with scope='global' an override can only be None (leave alone). "
                f"Received: overrides={shown(self.overrides)}. Use scope='layer'."
            )
        if self.scope == "global" and self.amount is None:
            raise ValueError(
                "MergeChannels: scope='global' shares out an amount. Received: a threshold. Leave scope out."
            )

    def default(self) -> Any:
        """Returns the amount or the threshold."""
        return self.threshold if self.amount is None else self.amount

    def accept(self, value: Any) -> Any:
        """Validates an amount or a threshold."""
        if self.amount is None:
            return checks.number("MergeChannels", "threshold", value, above=0, most=1, hint=percent(value))
        return checks.number("MergeChannels", "amount", value, least=0, below=1, hint=percent(value))

    def stored(self, value: Any) -> Any:
        """Returns the validated value as a Python float."""
        return self.accept(value)

    def operate(self, model: keras.Model, evidence: Evidence) -> Operated:
        """Merges channels of a flat model.

        Raises:
            ValueError: If activations are to be compared and there is no data, or an override names no layer.
        """
        channels = groups(model)
        ops = {use.path: use.op for use in channels.uses.values()}
        check_names(self, ops.values())
        found = collect_features(model, channels)
        kept = channels.kept().items()
        rows: list[Change | Left] = [
            Left(path, why if who in ("", path) else f"{who}: {why}") for path, (who, why) in kept
        ]
        sets = []
        for candidate in alike(channels, found):
            reason = self._barred(candidate, ops, found)
            rows += [Left(path, reason) for path in candidate.layers] if reason else []
            sets += [] if reason else [candidate]
        compared = self._compared(model, channels, found, sets, evidence)
        families = [
            _Family(s, like, matter, self._level(s, ops), [])
            for s, like, matter in zip(sets, compared.like, compared.matter, strict=True)
        ]
        self._join(families)
        into: dict[int, int] = {}
        for family in families:
            numbers = family.alike.groups.tolist()
            chosen = representatives(family.like, family.matter, family.joined)
            merging = {numbers[j]: numbers[k] for j, k in sorted(chosen.items())}
            into |= merging
            rows.append(_row(channels, family, merging))
        return Operated(
            merge_channel_groups(model, channels, found.reads, into, compared.take) if into else model, tuple(rows)
        )

    def _level(self, candidate: ComparableGroups, ops: Any) -> float | None:
        """Returns the level that all layers of a set allow: the smallest amount or the largest threshold."""
        levels = [_setting(self, ops[path]) for path in candidate.layers]
        if None in levels:
            return None
        return max(levels) if self.amount is None else min(levels)

    def _barred(self, candidate: ComparableGroups, ops: Any, found: SimilarityFeatures) -> str | None:
        """Returns why no channels of a set may merge, None if they may."""
        if self._level(candidate, ops) is None:
            return "left out by `where` or `overrides`"
        reads = [r for r in found.reads if np.isin(candidate.groups, r.roots).any()]
        if not reads:
            return "no weight reads its channels"
        hidden = [r.use.path for r in reads if not reads_op_input(r)]
        if self.similarity == "activation" and hidden:
            return (
                f"{hidden[0]} reads them inside itself, where activations can't be observed; similarity='cosine' "
                "compares weights instead"
            )
        return None

    def _compared(
        self, model: keras.Model, channels: Any, found: Any, sets: Any, evidence: Any
    ) -> CompareWeights | CompareActivations:
        if self.similarity == "cosine":
            return CompareWeights(channels, found, sets)
        if evidence.x is None:
            raise ValueError(
                "MergeChannels: similarity='activation' needs data. Give representative samples: data=x, an array "
                "(n, ...); or use similarity='cosine', which needs none."
            )
        return CompareActivations(model, found.reads, sets, evidence.x)

    def _join(self, families: Any) -> None:
        if self.scope == "global":
            self._join_all(families)
            return
        for family in families:
            if self.amount is None:
                pairs, most = merges(family.like, np.ones(len(family.like))), 1 - family.level + _ROUNDING
                family.joined = [(i, j) for _, i, j in takewhile(lambda m, most=most: m[0] <= most, pairs)]  # type: ignore[misc]
            else:
                count = min(round(family.level * len(family.like)), len(family.like) - 1)
                family.joined = [(i, j) for _, i, j in islice(merges(family.like, family.matter), count)]

    def _join_all(self, families: Any) -> None:
        """Merges across all layers, the cheapest merge next; each layer's weights of channels are scaled to mean 1."""
        streams = [merges(f.like, f.matter / max(f.matter.mean(), _LEAST)) for f in families]
        queue: list[tuple[float, int, int, int]] = []

        def follow(k: Any) -> None:
            for cost, i, j in islice(streams[k], 1):
                heapq.heappush(queue, (cost, k, i, j))

        for k in range(len(families)):
            follow(k)
        for _ in range(round(self.amount * sum(len(f.like) for f in families))):
            if queue:
                _, k, i, j = heapq.heappop(queue)
                families[k].joined.append((i, j))
                follow(k)


def _setting(technique: Any, op: Any) -> float | None:
    size = sum(int(np.prod(v.shape)) for v in getattr(op, "variables", ()))
    return setting_of(technique, op, next(iter(spec_of(op).kernels), ""), size)


def _row(channels: Channels, family: _Family, merging: dict[int, int]) -> Change | Left:
    """Returns the row for a family; channels are named by their numbers in the first layer that makes them."""
    paths, groups_of = family.alike.layers, channels.made_by()
    made = groups_of[paths[0]]
    name, numbers = ", ".join(paths), {int(g): int(np.flatnonzero(made == g)[0]) for g in family.alike.groups}
    size = f"; magnitudes count because of {', '.join(family.alike.exact)}" if family.alike.exact else ""
    if not merging:
        closest = float((family.like - 2 * np.eye(len(family.like))).max())
        return Left(name, f"no two of {len(numbers)} channels are similar enough, at most {closest:.4g}{size}")
    pairs = ", ".join(f"{numbers[j]} into {numbers[k]}" for j, k in merging.items())
    return Change(name, f"merged {pairs}{size}", len(numbers), len(numbers) - len(merging))
