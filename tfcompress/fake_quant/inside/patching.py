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
        self.interception = Interception(follower, _functions(model), follower.finish)
        self.opened = {id(op) for _, op in open_layers(model) if (known := inside(op)) and not known.is_closed}

    def of_model(self, plain: Callable) -> Callable:
        """Returns the model's own call, which may be open itself."""
        return self._marked(self.model, plain, plain)

    def changes(self, before: list[tuple[Any, str, Any]]) -> list[tuple[Any, str, Any]]:
        """Returns the overrides of everything in the model.

        Args:
            before: Overrides of calls of layers that are made before; these go on around them.
        """
        calls = {id(owner): call for owner, name, call in before if name == "call"}
        ops = {id(op): op for _, op in (*containers(self.model), *leaves(self.model))}
        marked = [(op, "call", self._marked(op, calls.get(key, op.call), op.call)) for key, op in ops.items()]
        return [*marked, *self.interception.overrides()]

    def _marked(self, op, call: Callable, own: Callable) -> Callable:
        made = self.interception.call_within(op if id(op) in self.opened else None, call)
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
        forward = self._now()
        op = inside(layer).at(number, forward.mode.trains)
        if op is None or op.kind != f.kind:
            if not forward.mode.trains:
                raise RuntimeError(_changed(layer, f.kind, "nothing" if op is None else op.kind))
            return plain(*args, **kwargs)
        plan = self.plans.get(id(op))
        return plain(*args, **kwargs) if plan is None else run(plan, plain, args, kwargs, forward)

    def _now(self) -> ForwardPass:
        return self.forward if isinstance(self.forward, ForwardPass) else self.forward()

    def finish(self, layer, count: int) -> None:
        """Checks that a call at inference computed as many operations as when the plan was made."""
        known = inside(layer).operations
        if count < len(known) and not self._now().mode.trains:
            raise RuntimeError(_changed(layer, "something else", known[count].kind))


def _changed(layer, now: str, before: str) -> str:
    return (
        f"Layer {layer.name!r} ({type(layer).__name__}) computes {now} where it computed {before} when the plan "
        "was made: its call depends on something besides its inputs and `training`. Make the plan anew after such a "
        "change, or write the two ways as two layers."
    )
