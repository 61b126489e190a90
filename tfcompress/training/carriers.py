"""What carries the operation plans of a run: hooks on the layers of a live model, or a session's wrapper layers."""

from collections.abc import Sequence
from dataclasses import asdict
from types import SimpleNamespace

import keras

from tfcompress.channels.shrink import kept, shrunk
from tfcompress.fake_quant.state import CompressionState
from tfcompress.session_layers.state_transfer import moved
from tfcompress.techniques.recipe import Recipe
from tfcompress.training.logs import recipe_facts
from tfcompress.training.plan import Plan, make_plan, waiting


class LiveLayers:
    """The operation plans are laid over the layers of the live model for as long as a step runs."""

    is_laid = True
    """Whether anything is laid over layers; the model computes as in the file only while it is."""

    def plan(self, model: keras.Model, recipe: Recipe, seed: int, before: Plan | None = None) -> Plan:
        """Returns the plan for a built model; `before` itself where nothing has changed since."""
        return make_plan(model, recipe, seed, before=before)

    def notes(self) -> list[str]:
        """Returns what is to be said when the plan is made anew."""
        return []

    def laid(self, state: CompressionState):
        """Returns what of a state is laid over live layers."""
        return state

    def plain(self, network: keras.Model | None) -> keras.Model | None:
        """Returns the model of ordinary layers that a file is made of."""
        return network

    def finished(self, run) -> keras.Model:
        """Returns the model of a run whose weights have their final values."""
        return run.network

    def facts(self, recipe: Recipe, notes: list[str]) -> dict:
        """Returns what goes to the metadata of a file."""
        return {"recipe": recipe_facts(recipe), "notes": list(notes)}


class WrapperLayers(LiveLayers):
    """The operation plans lie in the wrapper layers of a session's model, which stay as they are.

    Args:
        plan: The plan that was wrapped.
        plain: The model of the layers inside.
        recipe: All techniques of the session, also those that changed the graph before training.
        operated: `(technique name, rows)` of what these did.
    """

    is_laid = False

    def __init__(self, plan: Plan, plain: keras.Model, recipe: Recipe, operated: Sequence[tuple]):
        self._plan, self._plain, self._recipe = plan, plain, recipe
        self.operated, self._cuts = list(operated), []

    def plan(self, model: keras.Model, recipe: Recipe, seed: int, before: Plan | None = None) -> Plan:
        """Returns the plan that was wrapped."""
        return self._plan

    def notes(self) -> list[str]:
        """Returns what could be treated now and is not."""
        return [
            f"{', '.join(paths)} began to train after tfc.compress, and {name} does not treat them. Go on with "
            "session = tfc.compress(session.model, recipe), which keeps masks, clusters and ranges"
            for name, paths in waiting(self._plan, self._plain).items()
        ]

    def laid(self, state: CompressionState):
        """Returns a state of nothing: wrapper layers have it in them."""
        return SimpleNamespace(op_plans=[], inputs=[])

    def plain(self, network: keras.Model | None) -> keras.Model:
        """Returns the plain model inside the wrappers."""
        return self._plain

    def finished(self, run) -> keras.Model:
        """Cuts the channels that were hidden; the ranges go along, to where `tfc.convert` looks for them."""
        plain, state = self._plain, run.state
        self._cuts = []
        for technique in run.recipe:
            if technique.shape_changing:
                plain, state = self._cut(technique, run, plain, state)
        state.hang(plain)
        return plain

    def _cut(self, technique, run, plain, state):
        """Cuts what a technique has hidden, and takes the state along."""
        memory = run.memories[technique.name]
        cut = technique.close(plain, memory, run.plan.kernels[technique.name])
        if cut is None or not len(cut.dead):
            return plain, state
        small, places = shrunk(plain, cut.channels, cut.dead)
        self._cuts.append((technique.name, cut.rows(plain, small)))
        return small, moved(state, places, lambda op, path: kept(cut.channels, cut.dead, op, path))

    def facts(self, recipe: Recipe, notes: list[str]) -> dict:
        """Returns the same of the whole recipe, and what was done to the graph."""
        done = [*self.operated, *self._cuts]
        rows = [{"technique": name, **asdict(row)} for name, found in done for row in found]
        return {**super().facts(self._recipe, notes), **({"surgery": rows} if rows else {})}
