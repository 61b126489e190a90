"""Runs teachers on a batch and computes soft losses between their logits and the student's.

Outputs of softmax or sigmoid are converted back to logits by the logarithm. For softmax they are right up to a
constant, which the next softmax ignores.
"""

from dataclasses import dataclass

import keras
import tensorflow as tf

from tfcompress.graph.keras_private import override_attributes
from tfcompress.graph.trace import trace
from tfcompress.graph.tree import leaves
from tfcompress.layer_table.lookup import SAME, SIGMOID, SOFTMAX, is_of_keras, probabilities, spec_of

LOGITS, LINEAR = "logits", "linear"
_TINY = 1e-7


@dataclass(frozen=True)
class Answer:
    """The last activation of a model's output ("logits", "softmax" or "sigmoid") and its shape, None if unknown."""

    ending: str
    shape: tuple[int | None, ...] | None


def answers(model: keras.Model) -> list[Answer]:
    """Returns the last activation and shape of each output of a built model.

    Layers behind it that pass values on (Reshape, a linear Activation for the dtype) are skipped; an output that no
    known layer made counts as logits.

    Raises:
        ValueError: If a softmax does not go over the last axis.
    """
    graph = trace(model, opens=True).graph
    found = []
    for t in graph.outputs:
        call = graph.maker(t)
        shape = call.shapes[call.outputs.index(t)] if call is not None else None
        while call is not None and call.inputs and _hands_on(call.op):
            call = graph.maker(call.inputs[0])
        found.append(Answer(_ending(call, model) if call is not None else LOGITS, shape))
    return found


def _hands_on(op) -> bool:
    spec = spec_of(op)
    return spec.grid == SAME or spec.is_identity


def _ending(call, model) -> str:
    op, rank = call.op, len(call.shapes[0])
    while isinstance(op, keras.layers.Wrapper):  # TimeDistributed, or a session's layer
        op = op.layer
    found = probabilities(op)
    axis = getattr(op, "axis", -1) if is_of_keras(op) else -1
    if found == SOFTMAX and axis not in (-1, rank - 1):
        raise ValueError(
            f"Distill: {op.name!r} of model {model.name!r} takes softmax over axis {axis}. "
            "The classes must lie on the last axis."
        )
    return found or LOGITS


def to_logits(y, ending: str):
    """Returns float32 logits of an output.

    Args:
        y: Output, `(batch, ..., classes)`.
        ending: The last activation, from `answers`.
    """
    y = tf.cast(y, tf.float32)
    if ending == SOFTMAX:
        return tf.math.log(tf.maximum(y, _TINY))
    if ending == SIGMOID:
        y = tf.clip_by_value(y, _TINY, 1.0 - _TINY)
        return tf.math.log(y) - tf.math.log1p(-y)
    return y


def soft_loss(teacher, student, temperature: float, kind: str):
    """Returns the distance between the outputs of teacher and student at each position, `(batch, ...)`.

    Softmax: KL(teacher / T || student / T), times T^2, so that its gradient keeps its size (Hinton, Vinyals and Dean,
    "Distilling the Knowledge in a Neural Network", 2015). Sigmoid: the same for each unit's two outcomes, summed.
    Linear: the mean squared difference of the units.

    Args:
        teacher: Logits, `(batch, ..., classes)`.
        student: Logits of the same shape.
        temperature: T, above 0; "linear" does not use it.
        kind: "softmax", "sigmoid" or "linear".
    """
    if kind == LINEAR:
        return tf.reduce_mean(tf.square(teacher - student), axis=-1)
    a, b = teacher / temperature, student / temperature
    if kind == SIGMOID:
        p = tf.sigmoid(a)
        each = p * (tf.math.log_sigmoid(a) - tf.math.log_sigmoid(b))
        each += (1 - p) * (tf.math.log_sigmoid(-a) - tf.math.log_sigmoid(-b))
    else:
        log_p, log_q = tf.nn.log_softmax(a), tf.nn.log_softmax(b)
        each = tf.exp(log_p) * (log_p - log_q)
    return temperature**2 * tf.reduce_sum(each, axis=-1)


def weighted_mean(each, sample_weight, mask):
    """Returns the mean over all positions, with weights and mask as Keras' own losses take them.

    Args:
        each: `(batch, ...)`.
        sample_weight: `(batch,)`, `(batch, 1)` or the shape of `each`; None for ones.
        mask: Positions that count, in the shape of `each`; None for all.

    Returns:
        A scalar.
    """
    total = tf.ones_like(each)
    if mask is not None:
        total *= tf.cast(mask, each.dtype)
        total *= tf.math.divide_no_nan(tf.cast(tf.size(each), each.dtype), tf.reduce_sum(total))
    if sample_weight is not None:
        w = tf.cast(sample_weight, each.dtype)
        if w.shape.rank == each.shape.rank + 1:
            w = tf.squeeze(w, -1)
        total *= tf.reshape(w, tf.concat([tf.shape(w), [1] * (each.shape.rank - w.shape.rank)], 0))
    return tf.reduce_mean(each * total)


def run_teacher(model: keras.Model, x, wanted: tuple[str, ...]):
    """Runs a teacher on a batch, without training it.

    Args:
        model: The teacher.
        x: The batch as the student gets it.
        wanted: Paths of the layers whose outputs to return as features.

    Returns:
        `(list of outputs, {path: feature})`, with gradients stopped.
    """
    features: dict[str, object] = {}
    ops = dict(leaves(model)) if wanted else {}
    with override_attributes([(ops[p], "call", _keeping(ops[p].call, p, features)) for p in wanted]):
        outputs = model(x, training=False)
    stop = tf.stop_gradient
    return [stop(y) for y in keras.tree.flatten(outputs)], {p: stop(f) for p, f in features.items()}


def _keeping(call, path, features):
    def kept(*args, **kwargs):
        outputs = call(*args, **kwargs)
        features[path] = keras.tree.flatten(outputs)[0]
        return outputs

    return kept


def find_path(model: keras.Model, key: str) -> str | None:
    """Returns the path of the layer with a path or a unique name; None if there is none.

    In the flat model of a session, `backbone/conv` is called `backbone_conv`; it is found by either.
    """
    paths = {path: op.name for path, op in leaves(model)}
    if key in paths:
        return key
    flat = key.replace("/", "_")
    if flat in paths:
        return flat
    named = [path for path, name in paths.items() if name == key]
    return named[0] if len(named) == 1 else None


def feature_shape(model: keras.Model, path: str) -> tuple[int | None, ...]:
    """Returns the shape of the first output of the layer at a path."""
    op = dict(leaves(model))[path]
    return next(c for c in trace(model).calls if c.op is op).shapes[0]
