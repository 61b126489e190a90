"""Patches the operations that open layers compute in their own `call` with the plans of these operations."""

from collections.abc import Callable, Mapping
from typing import Any

import keras

from tfcompress.fake_quant.forward_pass import ForwardPass
from tfcompress.fake_quant.op_plan import OpPlan
from tfcompress.fake_quant.treated_call import run
from tfcompress.graph.inside.functions import OperationFunction
from tfcompress.graph.inside.interception import Interception
from tfcompress.graph.inside.opened import inside, open_layers
from tfcompress.graph.tree import containers, leaves
from tfcompress.layer_table.operation_names import CASTS

Forward = ForwardPass | Callable[[], ForwardPass]


class InnerCalls:
    """The calls of a model's layers, with the operations inside of open layers computed by their plans.

    Args:
        model: A model that was traced with its layers opened.
        plans: The plans of operations inside of open layers.
        forward: The pass, or a function that returns the one that is running.
    """

    def __init__(self, model: keras.Model, plans: list[OpPlan], forward: Forward):
        self.model = model
        follower = _Follower({id(t.op): t for t in plans}, forward)
        self.interception = Interception(follower, _functions(model), follower.is_missing, follower.finish)
        self.opened = {id(op) for _, op in open_layers(model) if (known := inside(op)) and not known.is_closed}

    def own(self, op, plain: Callable) -> Callable:
        """Returns the own call of the model or of a layer, marked as running if it is open."""
        return self._marked(op, plain, plain) if id(op) in self.opened else plain

    def changes(self, before: list[tuple[Any, str, Any]]) -> list[tuple[Any, str, Any]]:
        """Returns the overrides of everything in the model.

        Args:
            before: Overrides of calls of layers that are made before; these go on around them.
        """
        calls = {id(owner): call for owner, name, call in before if name == "call"}
        ops = {id(op): op for _, op in (*containers(self.model), *leaves(self.model))}
        # a call that is overridden marks what is the layer's own in it
        marked = [
            (op, "call", self._marked(None if key in calls else op, calls.get(key, op.call), op.call))
            for key, op in ops.items()
        ]
        return [*marked, *self.interception.overrides()]

    def _marked(self, op, call: Callable, own: Callable) -> Callable:
        made = self.interception.call_within(op if op is not None and id(op) in self.opened else None, call)
        vars(made)["tfcompress_plain"] = getattr(own, "tfcompress_plain", own)
        return made


def _functions(model: keras.Model) -> list[OperationFunction]:
    """Returns the functions that open layers of a model call."""
    found = [known.functions for _, op in open_layers(model) if (known := inside(op)) is not None]
    return list({key: f for each in found for key, f in each.items()}.values())


class _Follower:
    """Computes an operation inside of a layer by its plan."""

    def __init__(self, plans: Mapping[int, OpPlan], forward: Forward):
        self.plans, self.forward = plans, forward

    def __call__(self, layer, number: int, f: OperationFunction, plain: Callable, args: tuple, kwargs: dict):
        forward, known = self._now(), inside(layer)
        expected = known.kind(number, forward.mode.trains)
        if expected != f.kind:
            raise RuntimeError(_changed(layer, f.kind, expected))
        op = known.at(number, forward.mode.trains)
        plan = None if op is None else self.plans.get(id(op))
        return plain(*args, **kwargs) if plan is None else run(plan, plain, args, kwargs, forward)

    def _now(self) -> ForwardPass:
        return self.forward if isinstance(self.forward, ForwardPass) else self.forward()

    def is_missing(self, layer, number: int, kind: str) -> bool:
        """Whether the operation of some number is a cast that this call does not need, as its input is a float."""
        expected = inside(layer).kind(number, self._now().mode.trains)
        return expected in CASTS and expected != kind

    def finish(self, layer, count: int) -> None:
        """Checks that a call computed as many operations as when the plan was made."""
        missing = inside(layer).kind(count, self._now().mode.trains)
        if missing is not None and missing not in CASTS:
            raise RuntimeError(_changed(layer, "something else", missing))


def _changed(layer, now: str, before: str | None) -> str:
    where = f"computes {now} where it computed {before or 'nothing'} when the plan was made"
    return (
        f"Layer {layer.name!r} ({type(layer).__name__}) {where}: its call depends on something besides its inputs and "
        "`training`. Make the plan anew after such a change, or write the two ways as two layers."
    )
