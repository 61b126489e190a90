"""Takes masks, clusters and ranges over from an earlier plan into one that is made anew."""

from collections import defaultdict

import keras

from tfcompress.techniques.base import Technique


class EarlierPlan:
    """Finds transforms, ranges and further state in an earlier plan of the same model.

    Args:
        before: The earlier plan; None if there is none, then nothing is found.
    """

    def __init__(self, before=None):
        self.before = before
        plans = before.state.op_plans if before is not None else []
        self._chains = {(id(t.op), path): chain for t in plans for path, chain in t.chains.items()}
        self._ranges = defaultdict(list)
        for span in before.state.ranges if before is not None else []:
            self._ranges[span.title].append(span)

    def transforms(self, op, weight: str, made: list) -> list:
        """Returns for each new transform an equal one that the weight has already, None where it has none."""
        chain = self._chains.get((id(op), weight))
        held = chain.transforms if chain is not None else []
        return [next((old for old in held if _alike(old, new)), None) for new in made]

    def placement(self, key: tuple):
        """Returns placements and input ranges of the earlier plan if graph and scheme are the same, else None."""
        found = self.before.placement if self.before is not None else None
        return found[1] if found is not None and found[0] == key else None

    def range(self, made):
        """Returns the earlier range of the same title and settings, else the one just made."""
        held = self._ranges.get(made.title, [])
        return held.pop(0) if held and _alike(held[0], made) else made

    def extras(self, technique: Technique, model: keras.Model) -> list:
        """Returns a technique's further state: new, or renewed from that of the earlier plan."""
        if self.before is None:
            return technique.extras(model)
        return [technique.renewed(extra, model) for extra in self.before.extras[technique.name]]


def _alike(old, new) -> bool:
    return type(old) is type(new) and old.get_config() == new.get_config()
