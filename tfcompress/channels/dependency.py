"""Groups of channels: what has to go together when one channel goes, by label propagation through the graph.

Law: with the consumers' inputs of dead channels set to zero (`zeroed`), a model gives the same output as the model that
has them cut out (`shrink`).
"""

from dataclasses import dataclass

import keras
import numpy as np

from tfcompress.channels import rules_composite  # noqa: F401 (more rules)
from tfcompress.channels.labels import KEPT, Labels, Signal
from tfcompress.channels.rules import INPUT, OUTPUT, STILL, UNDESCRIBED, Call, Use, rule_of
from tfcompress.graph.keras_private import check_graph
from tfcompress.graph.rebuild import walk
from tfcompress.layer_table.lookup import has_weight, spec_of, weight


@dataclass(frozen=True)
class Channels:
    """The groups of a model's channels. Made by `groups`.

    Args:
        uses: What channels are to each operation, by `id(operation)`, in order of execution.
        roots: The group of each label; 0 is what is kept.
        reasons: For each kept label which operation keeps it, and why.
    """

    uses: dict[int, Use]
    roots: np.ndarray
    reasons: dict[int, tuple[str, str]]

    @property
    def groups(self) -> np.ndarray:
        """Numbers of the groups that can be cut, in order of the graph."""
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
        """Returns, by path of an operation whose channels can't be cut, which operation keeps them and why."""
        found = {}
        for use in self.uses.values():
            vector = use.inner if use.inner is not None else _made(use)
            if vector is not None and (self.roots[vector] == KEPT).all():
                found[use.path] = next((self.reasons[x] for x in vector.tolist() if x in self.reasons), ("", STILL))
        return found

    def alive(self, dead: np.ndarray) -> np.ndarray:
        """Returns, by label, whether it stays when these groups go."""
        return ~np.isin(self.roots, dead)

    def reads(self, use: Use) -> list[tuple[str, int, np.ndarray]]:
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


def _made(use: Use) -> np.ndarray | None:
    """Labels that the operation itself brought up: its weights have an axis for them."""
    makes = any(axes.output_channel is not None for axes in spec_of(use.op).axes.values())
    return use.output.vector() if use.output is not None and makes else None


def groups(model: keras.Model) -> Channels:
    """Finds which channels of a model can be cut, and which only together.

    Args:
        model: A built Functional or Sequential model; nested models are opened.

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
    sources: dict[int, tuple[Signal, str]] = {}  # with the signal: an id is only good while the object lives

    def visit(path, op, args, kwargs, outputs):
        spec = spec_of(op)
        call = Call(path, op, spec, args, kwargs, [tuple(x.shape[1:]) for x in outputs], labels, uses)
        rule = rule_of(spec.flow if call.inputs else "unknown")
        made = rule(call) if _is_described(op, spec) else call.kept(UNDESCRIBED)
        sources.update({id(x): (x, path) for x in made})
        call.use()  # operations that nothing is known of have their place as well
        return made

    given = [_input(x) for x in check_graph(model).inputs]
    sources.update({id(x): (x, INPUT) for x in given})
    for out in keras.tree.flatten(walk(model, given, visit)):
        labels.keep(out.labels, sources[id(out)][1], OUTPUT)
    return Channels(uses, *labels.roots())


def _input(x) -> Signal:
    return Signal(np.full((1,) * (len(x.shape) - 1), KEPT), tuple(x.shape[1:]))


def _is_described(op, spec) -> bool:
    """Whether all weights of an operation stand in its row; of others nobody knows which channel they belong to."""
    if spec.flow in ("unknown", "still", "whole"):
        return True
    known = {id(weight(op, path)) for path in spec.axes if has_weight(op, path)}
    return all(id(v) in known or not v.shape or "float" not in v.dtype for v in getattr(op, "variables", ()))
