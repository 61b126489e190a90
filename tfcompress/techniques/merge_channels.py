"""MergeChannels: neurons and filters that are alike become one, and those that read them take the others over.

Data-free after Srinivas and Babu, "Data-free parameter pruning for deep neural networks", 2015; with data what goes is
made of what stays by least squares.
"""

import heapq
from dataclasses import dataclass
from numbers import Real

import keras
import numpy as np

from tfcompress.facts.select import resolve, unmatched, where
from tfcompress.facts.spec import spec_of
from tfcompress.mechanics.channel_merging import (
    ROUNDING,
    Alike,
    Take,
    alike,
    merged,
    merges,
    places,
    reach,
    representatives,
    similarity,
)
from tfcompress.mechanics.channels import Channels, groups
from tfcompress.mechanics.coactivity import coactivity, is_seen
from tfcompress.mechanics.likeness import Likeness, likeness
from tfcompress.techniques.surgery import Change, Evidence, Left, Operated, Surgery


@dataclass
class _Family:
    """A set of groups with how alike they are, how much each matters, and what is merged so far."""

    alike: Alike
    like: np.ndarray
    weight: np.ndarray
    level: float
    joined: list[tuple[int, int]]


@keras.saving.register_keras_serializable("tfcompress")
@dataclass(frozen=True)
class MergeChannels(Surgery):
    """Merges channels (filters, units, attention heads) of a layer that are alike.

    One of them stays. Whatever read the others reads it instead, its weights added to those it had; where one is a
    positive multiple of the other all the way (ReLU, pooling, BatchNormalization), times that multiple. So channels that
    are equal but for a factor merge without any change of the output. Where size matters (sigmoid, gates of recurrent
    layers) only equal channels are alike.

    Args:
        amount: Fraction of the channels to merge away, 0..1: those whose merging changes least of what is read.
        threshold: Instead: channels at least this alike merge, 0..1; 1 is equal.
        similarity: What makes channels alike: "cosine" of the weights that make them, normalizations included, or
            "activation", their correlation on data where they are read. With the latter each reader makes those that go
            of the one that stays by a factor and a constant with the least squared error.
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

    def __post_init__(self):
        """Validates."""
        if (self.amount is None) == (self.threshold is None):
            raise ValueError(
                "MergeChannels: give either amount or threshold. "
                f"Received: amount={self.amount}, threshold={self.threshold}."
            )
        for name, allowed in (("similarity", ("cosine", "activation")), ("scope", ("layer", "global"))):
            if getattr(self, name) not in allowed:
                raise ValueError(f"MergeChannels: {name} must be one of {allowed}. Received: {getattr(self, name)!r}.")
        self.accept(self.default())
        super().__post_init__()
        if self.scope == "global" and any(v is not None for v in (self.overrides or {}).values()):
            raise ValueError(
                "MergeChannels: with scope='global' an override can only be None (leave alone). "
                f"Received: overrides={self.overrides}. Use scope='layer'."
            )
        if self.scope == "global" and self.amount is None:
            raise ValueError("MergeChannels: scope='global' shares out an amount. Received: a threshold. Leave scope out.")

    def default(self):
        """The amount, or the threshold."""
        return self.threshold if self.amount is None else self.amount

    def accept(self, value):
        """Validates an amount or a threshold."""
        name = "threshold" if self.amount is None else "amount"
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        if not is_number or not (0 < value <= 1 if name == "threshold" else 0 <= value < 1):
            hint = f" Did you mean {value / 100:g}?" if is_number and 1 < value < 100 else ""
            interval = "(0, 1]" if name == "threshold" else "[0, 1)"
            raise ValueError(f"MergeChannels: {name} must be in {interval}. Received: {name}={value!r}.{hint}")
        return value

    def operate(self, model: keras.Model, evidence: Evidence) -> Operated:
        """Merges channels of a flat model.

        Raises:
            ValueError: If activations are to be compared and there is no data, or an override names no layer.
        """
        channels = groups(model)
        ops = {use.path: use.op for use in channels.uses.values()}
        self._check_names(ops.values())
        found = likeness(model, channels)
        rows = [Left(path, f"{who}: {why}" if who else why) for path, (who, why) in channels.kept().items()]
        sets = []
        for candidate in alike(channels, found):
            reason = self._barred(candidate, ops, found)
            rows += [Left(path, reason) for path in candidate.layers] if reason else []
            sets += [] if reason else [candidate]
        families, takes = self._compared(model, channels, found, sets, ops, evidence)
        self._join(families)
        into = {}
        for family in families:
            numbers = family.alike.groups
            chosen = representatives(family.like, family.weight, family.joined)
            merging = {int(numbers[j]): int(numbers[k]) for j, k in chosen.items()}
            into |= merging
            rows.append(_row(channels, family, merging))
        return Operated(merged(model, channels, found.reads, into, takes) if into else model, tuple(rows))

    def _check_names(self, ops):
        ops = list(ops)
        keys = [*(self.overrides or {}), *(where(self.where).layers), *(where(self.where).skip)]
        lost = unmatched(ops, keys)
        if lost:
            raise ValueError(
                f"MergeChannels: {', '.join(map(repr, lost))} names no layer of the model. "
                f"It has {', '.join(op.name for op in ops if getattr(op, 'weights', None))}."
            )

    def _level_of(self, op) -> float | None:
        size = sum(int(np.prod(v.shape)) for v in getattr(op, "variables", ()))
        kernel = next(iter(spec_of(op).kernels), "kernel")
        return resolve(op, self.default(), self.overrides) if where(self.where)(op, kernel, size) else None

    def _level(self, candidate: Alike, ops) -> float | None:
        """What all layers of a set allow: the smallest amount, the largest threshold."""
        levels = [self._level_of(ops[path]) for path in candidate.layers]
        if None in levels:
            return None
        return max(levels) if self.amount is None else min(levels)

    def _barred(self, candidate: Alike, ops, found: Likeness) -> str | None:
        """Why no channels of a set may merge."""
        if self._level(candidate, ops) is None:
            return "left out by `where` or `overrides`"
        reads = [r for r in found.reads if np.isin(candidate.groups, r.roots).any()]
        if not reads:
            return "no weight reads its channels"
        hidden = [r.use.path for r in reads if not is_seen(r)]
        if self.similarity == "activation" and hidden:
            return f"{hidden[0]} reads them inside itself, where no data shows; similarity='cosine' compares their weights"
        return None

    def _compared(self, model, channels, found, sets, ops, evidence):
        """The families with their likeness, and what readers take over."""
        if self.similarity == "cosine":
            likes = [similarity(channels, found, s) for s in sets]
            weights = [reach(found.reads, s, lambda n, at: found.reads[n].size[at] ** 2) for s in sets]
            known = {int(g): (s, k, like) for s, like in zip(sets, likes, strict=True) for k, g in enumerate(s.groups)}
            takes = _by_size(channels, found, known)
        else:
            if evidence.x is None:
                raise ValueError(
                    "MergeChannels: similarity='activation' needs data. Give representative samples: data=x, an array "
                    "(n, ...); or use similarity='cosine', which needs none."
                )
            moments = coactivity(model, found.reads, sets, evidence.x)
            likes, weights = zip(*[_by_moments(found, moments, f, s) for f, s in enumerate(sets)], strict=True) or ((), ())
            family = {int(g): f for f, s in enumerate(sets) for g in s.groups}
            takes = lambda n, gone, kept: moments[n, family[gone]].take(gone, kept)  # noqa: E731
        levels = [self._level(s, ops) for s in sets]
        return [_Family(*entry, []) for entry in zip(sets, likes, weights, levels, strict=True)], takes

    def _join(self, families):
        if self.amount is None:
            for family in families:
                for cost, i, j in merges(family.like, np.ones(len(family.weight))):
                    if cost > 1 - family.level + ROUNDING:
                        break
                    family.joined.append((i, j))
            return
        if self.scope == "layer":
            for family in families:
                count = min(round(family.level * len(family.weight)), len(family.weight) - 1)
                family.joined = [(i, j) for (_, i, j), _ in zip(merges(family.like, family.weight), range(count), strict=False)]
            return
        self._join_all(families)

    def _join_all(self, families):
        """The cheapest merge of all layers next; costs of a layer are measured by what its channels matter on average."""
        streams = [merges(f.like, f.weight / max(f.weight.mean(), 1e-30)) for f in families]
        queue = [(*first, k) for k, s in enumerate(streams) if (first := next(s, None))]
        heapq.heapify(queue := [(cost, k, i, j) for cost, i, j, k in queue])
        for _ in range(round(self.amount * sum(len(f.weight) for f in families))):
            if not queue:
                break
            _, k, i, j = heapq.heappop(queue)
            families[k].joined.append((i, j))
            if (following := next(streams[k], None)) is not None:
                heapq.heappush(queue, (following[0], k, *following[1:]))
