"""What a teacher says about a batch: logits whatever its last activation is, and the features asked for.

A model that ends in softmax or sigmoid is brought back to logits by the logarithm; softmax is blind to the constant
that is lost on the way.
"""

import keras
import tensorflow as tf

from tfcompress.mechanics.graph import leaves, overridden, trace

LOGITS, SOFTMAX, SIGMOID = "logits", "softmax", "sigmoid"
_TINY = 1e-7


def endings(model: keras.Model) -> list[str]:
    """Returns for each output of a built model whether it is "logits", "softmax" or "sigmoid".

    An output that no known layer made counts as logits.
    """
    graph = trace(model)
    makers = {t: call.op for call in graph.calls for t in call.outputs}
    return [_ending(makers.get(t)) for t in graph.outputs]


def _ending(op) -> str:
    if isinstance(op, keras.layers.Softmax):
        return SOFTMAX
    function = getattr(op, "activation", None)
    if function is keras.activations.softmax:
        return SOFTMAX
    return SIGMOID if function is keras.activations.sigmoid else LOGITS


def to_logits(y, ending: str):
    """Returns float32 logits of an output.

    Args:
        y: Output, `(batch, ..., classes)`.
        ending: As `endings` says.
    """
    y = tf.cast(y, tf.float32)
    if ending == SOFTMAX:
        return tf.math.log(tf.maximum(y, _TINY))
    if ending == SIGMOID:
        y = tf.clip_by_value(y, _TINY, 1.0 - _TINY)
        return tf.math.log(y) - tf.math.log1p(-y)
    return y


def soft_loss(teacher, student, temperature: float, ending: str):
    """Returns the distance of two outputs for each sample, `(batch,)`, times the squared temperature.

    Softmax: KL(teacher / T || student / T), times T^2, so that its gradient keeps its size (Hinton, Vinyals and Dean,
    "Distilling the Knowledge in a Neural Network", 2015). Sigmoid: the same for each unit's two outcomes.

    Args:
        teacher: Logits, `(batch, ..., classes)`.
        student: Logits of the same shape.
        temperature: T, above 0.
        ending: What the student ends in.
    """
    a, b = teacher / temperature, student / temperature
    if ending == SIGMOID:
        p = tf.sigmoid(a)
        each = p * (tf.math.log_sigmoid(a) - tf.math.log_sigmoid(b))
        each += (1 - p) * (tf.math.log_sigmoid(-a) - tf.math.log_sigmoid(-b))
    else:
        log_p, log_q = tf.nn.log_softmax(a), tf.nn.log_softmax(b)
        each = tf.exp(log_p) * (log_p - log_q)
    per_class = tf.reduce_sum(each, axis=-1)
    return temperature**2 * tf.reduce_mean(tf.reshape(per_class, (tf.shape(per_class)[0], -1)), axis=1)


def run_teacher(model: keras.Model, x, wanted: tuple[str, ...]):
    """Runs a teacher on a batch, without training it.

    Args:
        model: The teacher.
        x: The batch as the student gets it.
        wanted: Paths of the layers whose outputs are wanted too.

    Returns:
        `(list of outputs, {path: feature})`, with gradients stopped.
    """
    features: dict[str, object] = {}
    ops = dict(leaves(model)) if wanted else {}
    with overridden([(ops[p], "call", _keeping(ops[p].call, p, features)) for p in wanted]):
        outputs = model(x, training=False)
    stop = tf.stop_gradient
    return [stop(y) for y in keras.tree.flatten(outputs)], {p: stop(f) for p, f in features.items()}


def _keeping(call, path, features):
    def kept(*args, **kwargs):
        outputs = call(*args, **kwargs)
        features[path] = keras.tree.flatten(outputs)[0]
        return outputs

    return kept


def feature_shape(model: keras.Model, path: str, role: str) -> tuple[int | None, ...]:
    """Returns the output shape of a layer named by its path (or its name, where that is unique).

    Raises:
        ValueError: If the model has no such layer.
    """
    ops = dict(leaves(model))
    if path not in ops:
        raise ValueError(
            f"Distill: the {role} {model.name!r} has no layer {path!r}. Received: features with {path!r}. "
            f"It has: {', '.join(ops)}."
        )
    call = next(c for c in trace(model).calls if c.op is ops[path])
    return call.shapes[0]
