"""What a plan made anew takes over from the one before, so that masks, clusters and ranges go on where they were."""

from collections import defaultdict

import keras

from tfcompress.techniques.base import Technique


class Heritage:
    """The transforms, ranges and further state of an earlier plan of the same model.

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
        """Returns for each transform the one of its kind that the weight has already, None where it has none."""
        chain = self._chains.get((id(op), weight))
        held = chain.transforms if chain is not None else []
        return [next((old for old in held if _alike(old, new)), None) for new in made]

    def placement(self, key: tuple):
        """Returns placements and input ranges of the earlier plan if graph and scheme are the same, else None."""
        found = self.before.placement if self.before is not None else None
        return found[1] if found is not None and found[0] == key else None

    def range(self, made):
        """Returns the range that was laid at the same place before, else the one just made."""
        held = self._ranges.get(made.title, [])
        return held.pop(0) if held and _alike(held[0], made) else made

    def extras(self, technique: Technique, model: keras.Model) -> list:
        """Returns a technique's further state, made for the model or what goes on in place of what was there."""
        if self.before is None:
            return technique.extras(model)
        return [technique.renewed(extra, model) for extra in self.before.extras[technique.name]]


def _alike(old, new) -> bool:
    return type(old) is type(new) and old.get_config() == new.get_config()
