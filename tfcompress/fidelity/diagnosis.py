"""Finds the layer at which a file loses accuracy, by comparing float and simulated activations.

Two passes over the same samples give the error of every layer's output. The layers where it grows most are the
suspects; each of them is left in float while all others stay rounded, and the one that helps most is named.
"""

from dataclasses import dataclass, replace
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf

from tfcompress.export.simulate import simulate
from tfcompress.fake_quant.forward_pass import Mode
from tfcompress.fake_quant.op_plan import WeightChain
from tfcompress.fake_quant.patching import patched_calls
from tfcompress.fake_quant.transforms.quantize import QuantizeWeight
from tfcompress.fake_quant.weight_reads import prepare
from tfcompress.fidelity.noise import LayerNoise
from tfcompress.graph.inside.opened import operations
from tfcompress.graph.keras_private import float32, override_attributes
from tfcompress.graph.trace import trace
from tfcompress.graph.tree import leaves
from tfcompress.system.graph_passes import unoptimized
from tfcompress.system.silence import quiet

SUSPECTS = 3  # layers tried one at a time
SAMPLES = 64


@dataclass(frozen=True)
class Culprit:
    """The layer or input that causes a loss.

    Attributes:
        path: Path of the layer, or `input <number>`.
        op: The layer; None for an input, and for a layer of a SavedModel.
        error: Error of the output with it in float and everything else rounded; None where that can't be tried.
        noise: Noise of the layer; None for an input.
    """

    path: str
    op: object
    error: float | None
    noise: LayerNoise | None

    @property
    def is_input(self) -> bool:
        """Whether it is an input of the model."""
        return self.noise is None


def layer_noise(model: keras.Model, state, x) -> list[LayerNoise]:
    """Measures the error of every layer's output under a state.

    Args:
        model: A built model.
        state: What holds `op_plans` and `inputs`.
        x: Inputs as the model takes them, a few dozen samples.

    Returns:
        One entry for each layer whose output exists in both passes, in order of execution.
    """
    folded = {id(t.op) for t in state.op_plans if t.norm is not None}  # a later normalization is folded in
    ops = [(path, op) for path, op in leaves(model) if id(op) not in folded]

    prepared = {id(t): prepare(t, Mode.FOLDED) for t in state.op_plans}

    @tf.function(autograph=False)
    def both(inputs):
        plain = _recorded(model, ops, inputs)
        with patched_calls(model, state, Mode.FOLDED, prepared=prepared):
            rounded = _recorded(model, ops, inputs)
        return {path: _powers(plain[path], rounded[path]) for path in plain if _fit(plain, rounded, path)}

    with quiet(), unoptimized(), float32(model):
        powers = both(keras.tree.map_structure(tf.convert_to_tensor, x))
    errors = {path: float(np.sqrt(noise / max(signal, 1e-30))) for path, (noise, signal) in _numbers(powers).items()}
    return _with_inputs(model, errors)


def _recorded(model, ops, inputs) -> dict:
    found: dict[str, object] = {}

    def recording(path, call):
        def recorded(*args, **kwargs):
            outputs = call(*args, **kwargs)
            first = keras.tree.flatten(outputs)[0]
            found.setdefault(path, first)  # for a shared layer, the first call
            return outputs

        return recorded

    with override_attributes([(op, "call", recording(path, op.call)) for path, op in ops]):
        model(inputs, training=False)
    return found


def _fit(plain, rounded, path) -> bool:
    a, b = plain[path], rounded.get(path)
    return b is not None and a.dtype.is_floating and a.shape.rank is not None and a.shape.as_list() == b.shape.as_list()


def _powers(plain, rounded):
    """Returns the power of noise and signal, both pooled over the channels of the last axis."""
    plain, rounded = tf.cast(plain, tf.float32), tf.cast(rounded, tf.float32)
    axes = list(range(plain.shape.rank - 1)) or [0]
    return tf.reduce_mean((rounded - plain) ** 2), tf.reduce_mean(tf.math.reduce_variance(plain, axis=axes))


def _numbers(powers) -> dict:
    return {path: (float(noise), float(signal)) for path, (noise, signal) in powers.items()}


def _with_inputs(model, errors) -> list[LayerNoise]:
    traced = trace(model, opens=True)
    paths = {id(op): path for path, op in operations(model)}
    found, behind = {}, {}
    for call in traced.calls:
        path = paths[id(call.op)]
        fed = max((behind.get(t, 0.0) for t in call.inputs), default=0.0)
        error = errors.get(path, fed)
        behind |= dict.fromkeys(call.outputs, error)
        if path in errors:
            found.setdefault(path, LayerNoise(path, error, fed))
    return list(found.values())


def find_culprit(model: keras.Model, state, x, error_of, output: int = 0) -> Culprit | None:
    """Finds the layer or input that causes the loss of an output.

    Args:
        model: A built model.
        state: Its int8 operation plans, ranges set.
        x: Inputs as the model takes them.
        error_of: Function `(simulated outputs in the model's structure) -> error` of the output that is lost.
        output: Its number among the model's outputs.

    Returns:
        The one that, left in float, lowers the error most; None if none of them does.
    """
    noise = layer_noise(model, state, x)
    suspects = sorted(noise, key=lambda n: -n.grown)[:SUSPECTS]
    ops = dict(leaves(model))
    last = _maker(model, output)
    # the layer that makes the output, as the output's own range may be the cause
    suspects += [n for n in noise if ops[n.path] is last and n not in suspects]
    whole = error_of(simulate(model, state, x))
    found = [
        Culprit(f"input {k}", None, error_of(simulate(model, _without_input(state, k), x)), None)
        for k, span in enumerate(state.inputs)
        if span is not None
    ]
    for n in suspects:
        found.append(Culprit(n.path, ops[n.path], error_of(simulate(model, _without(state, ops[n.path]), x)), n))
    best = min(found, key=lambda c: c.error, default=None)
    return best if best is not None and best.error < whole else None


def _maker(model, output: int):
    """Returns the operation that makes an output of the model."""
    graph = trace(model, opens=True).graph
    made = graph.maker(graph.outputs[output])
    return None if made is None else made.op


def _without_input(state, number: int):
    inputs = [None if k == number else span for k, span in enumerate(state.inputs)]
    return SimpleNamespace(op_plans=_freed(state.op_plans, [state.inputs[number]]), inputs=inputs)


def _without(state, op):
    """Returns the state with one operation in float: its kernel, its output, and the output of what it fuses with."""
    left = [span for t in state.op_plans if t.op is op for span in (*t.outputs.values(), t.before)]
    plans = [_plain(t) if t.op is op else t for t in _freed(state.op_plans, left)]
    return SimpleNamespace(op_plans=plans, inputs=state.inputs)


def _plain(t):
    chains = {
        path: WeightChain(path, c.variable, [x for x in c.transforms if not isinstance(x, QuantizeWeight)])
        for path, c in t.chains.items()
    }
    return replace(t, chains=chains, outputs={}, before=None, fixed=None, target=None)


def _freed(plans, left: list) -> list:
    """Returns operation plans without the scales of some ranges, so that no kernel rounds to them."""
    gone = {id(span) for span in left if span is not None}

    def known(span):
        return None if id(span) in gone else span

    return [t.mapped(scales=known) for t in plans]
