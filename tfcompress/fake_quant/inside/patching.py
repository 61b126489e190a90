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


def inner_changes(
    model: keras.Model,
    plans: Mapping[int, OpPlan],
    forward: ForwardPass | Callable[[], ForwardPass],
    before: list[tuple[Any, str, Any]],
) -> list[tuple[Any, str, Any]]:
    """Returns the overrides with which operations inside of open layers follow their plans.

    Args:
        model: A model that was traced with its layers opened.
        plans: The plans of such operations, by `id(operation)`.
        forward: The pass, or a function that returns the one that is running.
        before: Overrides of calls of layers that are made before; these go on around them.
    """
    interception = Interception(_Follower(plans, forward), _functions(model))
    calls = {id(owner): call for owner, name, call in before if name == "call"}
    opened = {id(op) for _, op in open_layers(model) if (known := inside(op)) is not None and not known.is_closed}
    changes, seen = [], set()
    for op in [model, *(op for _, op in (*containers(model), *leaves(model)))]:
        if id(op) in seen:
            continue
        seen.add(id(op))
        plain = calls.get(id(op), op.call)
        call = interception.call_within(op if id(op) in opened else None, plain)
        vars(call)["tfcompress_plain"] = getattr(plain, "tfcompress_plain", op.call)
        changes.append((op, "call", call))
    return [*changes, *interception.overrides()]


def _functions(model: keras.Model) -> list[OperationFunction]:
    """Returns the functions that open layers of a model call."""
    found = [known.functions for _, op in open_layers(model) if (known := inside(op)) is not None]
    return list({key: f for each in found for key, f in each.items()}.values())


class _Follower:
    """Computes an operation inside of a layer by its plan."""

    def __init__(self, plans: Mapping[int, OpPlan], forward: ForwardPass | Callable[[], ForwardPass]):
        self.plans, self.forward = plans, forward

    def __call__(self, layer, number: int, f: OperationFunction, plain: Callable, args: tuple, kwargs: dict):
        forward = self.forward if isinstance(self.forward, ForwardPass) else self.forward()
        op = inside(layer).at(number, forward.mode.trains)
        if op is None or op.kind != f.kind:
            if op is not None and not forward.mode.trains:
                raise RuntimeError(_changed(layer, op, f))
            return plain(*args, **kwargs)
        plan = self.plans.get(id(op))
        return plain(*args, **kwargs) if plan is None else run(plan, plain, args, kwargs, forward)


def _changed(layer, op, f: OperationFunction) -> str:
    return (
        f"Layer {layer.name!r} ({type(layer).__name__}) computes {f.kind} where it computed {op.kind} when the plan "
        "was made: its call depends on something besides its inputs and `training`. Make the plan anew after such a "
        "change, or write the two ways as two layers."
    )
