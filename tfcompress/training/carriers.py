"""Attaches operation plans to a model: by hooks on the layers of a live model, or by a session's wrapper layers."""

from collections.abc import Sequence
from dataclasses import asdict
from types import SimpleNamespace

import keras

from tfcompress.channels.shrink import remaining_entries, shrink_with_map
from tfcompress.fake_quant.state import CompressionState
from tfcompress.session_layers.state_transfer import transfer_state
from tfcompress.techniques.recipe import Recipe
from tfcompress.training.logs import recipe_facts
from tfcompress.training.plan import Plan, make_plan, newly_trainable


class LiveLayers:
    """Applies the operation plans to the layers of a live model by hooks, while a step runs."""

    is_laid = True
    """Whether the plans are applied by hooks; the model computes as in the file only while these are installed."""

    def plan(self, model: keras.Model, recipe: Recipe, seed: int, before: Plan | None = None) -> Plan:
        """Returns the plan for a built model; `before` itself where nothing has changed since."""
        return make_plan(model, recipe, seed, before=before)

    def notes(self) -> list[str]:
        """Returns notes for the user when the plan is made anew."""
        return []

    def laid(self, state: CompressionState):
        """Returns the state whose plans hooks apply to live layers."""
        return state

    def plain(self, network: keras.Model | None) -> keras.Model | None:
        """Returns the model of ordinary layers that is converted to a file."""
        return network

    def finished(self, run) -> keras.Model:
        """Returns the model of ordinary layers, whose weights have their final values."""
        return run.network

    def facts(self, recipe: Recipe, notes: list[str]) -> dict:
        """Returns the facts about the compression for the metadata of a file."""
        return {"recipe": recipe_facts(recipe), "notes": list(notes)}


class WrapperLayers(LiveLayers):
    """Applies the operation plans through the wrapper layers of a session's model, which need no hooks.

    Args:
        plan: The plan that was wrapped.
        plain: The model of the layers inside the wrappers.
        recipe: All techniques of the session, also those that changed the graph before training.
        operated: `(technique name, rows)` of these graph changes.
    """

    is_laid = False

    def __init__(self, plan: Plan, plain: keras.Model, recipe: Recipe, operated: Sequence[tuple]):
        self._plan, self._plain, self._recipe = plan, plain, recipe
        self.operated, self._cuts = list(operated), []

    def plan(self, model: keras.Model, recipe: Recipe, seed: int, before: Plan | None = None) -> Plan:
        """Returns the plan that was wrapped."""
        return self._plan

    def notes(self) -> list[str]:
        """Returns notes on layers that have become trainable since `tfc.compress` and that techniques leave alone."""
        return [
            f"{', '.join(paths)} became trainable after tfc.compress, and {name} leaves them out. Continue with "
            "session = tfc.compress(session.model, recipe), which keeps masks, clusters and ranges"
            for name, paths in newly_trainable(self._plan, self._plain).items()
        ]

    def laid(self, state: CompressionState):
        """Returns an empty state: wrapper layers hold the plans and need no hooks."""
        return SimpleNamespace(op_plans=[], inputs=[])

    def plain(self, network: keras.Model | None) -> keras.Model:
        """Returns the plain model inside the wrappers."""
        return self._plain

    def finished(self, run) -> keras.Model:
        """Removes the channels that were masked during training, and returns the smaller plain model.

        The ranges are transferred to it, where `tfc.convert` looks for them.
        """
        plain, state = self._plain, run.state
        self._cuts = []
        for technique in run.recipe:
            if technique.shape_changing:
                plain, state = self._cut(technique, run, plain, state)
        state.attach_to(plain)
        return plain

    def _cut(self, technique, run, plain, state):
        """Removes the channels that a technique masked, and transfers the state to the smaller model."""
        memory = run.memories[technique.name]
        cut = technique.close(plain, memory, run.plan.kernels[technique.name])
        if cut is None or not len(cut.dead):
            return plain, state
        small, places = shrink_with_map(plain, cut.channels, cut.dead)
        self._cuts.append((technique.name, cut.rows(plain, small)))
        return small, transfer_state(
            state, places, lambda op, path: remaining_entries(cut.channels, cut.dead, op, path)
        )

    def facts(self, recipe: Recipe, notes: list[str]) -> dict:
        """Returns the facts about the whole recipe, graph changes included."""
        done = [*self.operated, *self._cuts]
        rows = [{"technique": name, **asdict(row)} for name, found in done for row in found]
        return {**super().facts(self._recipe, notes), **({"surgery": rows} if rows else {})}
