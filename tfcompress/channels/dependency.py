"""Channel groups: finds channels that can only be removed together, by label propagation through the graph.

A model without some groups (`shrink`) gives the same output as the model whose weights that read these channels are set
to zero (`zeroed`).
"""

from dataclasses import dataclass

import keras
import numpy as np

from tfcompress.channels import rules_composite, rules_inside, rules_places  # noqa: F401 (more rules)
from tfcompress.channels.labels import KEPT, Labels, Signal
from tfcompress.channels.rules import INPUT, OUTPUT, STILL, UNDESCRIBED, ChannelUse, LabelCall, rule_of
from tfcompress.graph.keras_private import check_graph
from tfcompress.graph.rebuild import walk
from tfcompress.layer_table.lookup import has_weight, spec_of, weight


@dataclass(frozen=True)
class Channels:
    """The channel groups of a model, made by `groups`.

    Args:
        uses: How each operation uses channels, by `id(operation)`, in order of execution.
        roots: The group of each label; 0 for channels that can't be removed.
        reasons: For each label that can't be removed, which operation prevents it and why.
    """

    uses: dict[int, ChannelUse]
    roots: np.ndarray
    reasons: dict[int, tuple[str, str]]

    @property
    def groups(self) -> np.ndarray:
        """Numbers of the groups that can be removed, in order of the graph."""
        made = [self.roots[use.inner] for use in self.uses.values() if use.inner is not None]
        made += [self.roots[use.output.vector()] for use in self.uses.values() if use.output is not None]
        found = np.unique(np.concatenate(made)) if made else np.array([], int)
        return found[found != KEPT]

    def made_by(self) -> dict[str, np.ndarray]:
        """Returns, by path, the groups of the channels (or units, or heads) that each operation makes itself."""
        found = {}
        for use in self.uses.values():
            vector = use.inner if use.inner is not None else _made(use)
            if vector is not None:
                found[use.path] = self.roots[vector]
        return found

    def kept(self) -> dict[str, tuple[str, str]]:
        """Returns, by path of an operation whose channels can't be removed, which operation prevents it and why."""
        found = {}
        for use in self.uses.values():
            vector = use.inner if use.inner is not None else _made(use)
            if vector is not None and (self.roots[vector] == KEPT).all():
                found[use.path] = next((self.reasons[x] for x in vector.tolist() if x in self.reasons), ("", STILL))
        return found

    def alive(self, dead: np.ndarray) -> np.ndarray:
        """Returns for each label whether it stays when the groups `dead` are removed."""
        return ~np.isin(self.roots, dead)

    def reads(self, use: ChannelUse) -> list[tuple[str, int, np.ndarray]]:
        """Returns `(weight path, axis, groups along it)` of every axis of weights that reads channels."""
        spec = spec_of(use.op)
        found = []
        for path, vectors in use.weights.items():
            reads = spec.axes[path].filled(len(vectors)).reads
            found += [
                (path, axis, self.roots[vector])
                for axis, vector in enumerate(vectors)
                if vector is not None and axis in reads
            ]
        return found


def _made(use: ChannelUse) -> np.ndarray | None:
    """Returns the labels of channels that an operation computes itself: its weights have an axis for them."""
    makes = any(axes.output_channel is not None for axes in spec_of(use.op).axes.values())
    return use.output.vector() if use.output is not None and makes else None


def groups(model: keras.Model) -> Channels:
    """Finds the channels of a model that can be removed, in groups that can only be removed together.

    Args:
        model: A built Functional or Sequential model; nested models are included.

    Returns:
        The groups.

    Raises:
        ValueError: If the model is subclassed, so that it has no graph.

    Example:
        >>> import keras
        >>> from tfcompress.channels.dependency import groups
        >>> layers = [keras.layers.Conv2D(4, 3, name="c"), keras.layers.Flatten(), keras.layers.Dense(2, name="d")]
        >>> found = groups(keras.Sequential([keras.Input((8, 8, 1)), *layers]))
        >>> len(found.groups), found.kept()
        (4, {'d': ('d', 'is an output of the model')})
    """
    labels, uses = Labels(), {}
    sources: dict[int, tuple[Signal, str]] = {}  # holds the signal too: an id is unique only while its object lives

    def visit(path, op, args, kwargs, outputs):
        spec = spec_of(op)
        call = LabelCall(path, op, spec, args, kwargs, [tuple(x.shape[1:]) for x in outputs], labels, uses)
        rule = rule_of(spec.flow if call.inputs else "unknown")
        made = rule(call) if _is_described(op, spec) else call.kept(UNDESCRIBED)
        sources.update({id(x): (x, path) for x in made})
        call.use()  # adds an entry for unknown operations too
        return made

    given = [_input(x) for x in check_graph(model).inputs]
    sources.update({id(x): (x, INPUT) for x in given})
    for out in keras.tree.flatten(walk(model, given, visit)):
        labels.keep(out.labels, sources[id(out)][1], OUTPUT)
    return Channels(uses, *labels.roots())


def _input(x) -> Signal:
    return Signal(np.full((1,) * (len(x.shape) - 1), KEPT), tuple(x.shape[1:]))


def _is_described(op, spec) -> bool:
    """Returns whether the layer table describes the axes of all weights of an operation."""
    if spec.flow in ("unknown", "still", "whole"):
        return True
    known = {id(weight(op, path)) for path in spec.axes if has_weight(op, path)}
    return all(id(v) in known or not v.shape or "float" not in v.dtype for v in getattr(op, "variables", ()))
