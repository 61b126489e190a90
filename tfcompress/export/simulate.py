"""Simulates a file in TensorFlow: runs the model as the file will compute it and dequantizes the outputs."""

import contextlib
import math
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf

from tfcompress.fake_quant.forward_pass import Mode
from tfcompress.fake_quant.patching import patched_calls
from tfcompress.fake_quant.transforms.ranges import widened_later
from tfcompress.fake_quant.weight_reads import prepare
from tfcompress.graph.keras_private import float32, input_specs, no_dropout_masks, override_attributes, recurrent
from tfcompress.graph.random_ops import Draws, replace_draws
from tfcompress.graph.trace import trace
from tfcompress.system.graph_passes import unoptimized
from tfcompress.system.silence import quiet
from tfcompress.text.progress import followed

BATCH = 128  # samples at a time
_WHAT = {Mode.OBSERVE: "calibrating, batches"}  # otherwise batches are simulated
_FEW = 8  # batches, up to which a small model is not traced
_MOST_BYTES = 2**29  # of the outputs of all layers of a small model, for one batch


def simulate(model: keras.Model, state, x, batch_size: int = BATCH):
    """Returns the outputs of a model under the operation plans of a state.

    Args:
        model: A built model.
        state: What holds `op_plans` and `inputs`.
        x: Inputs as the model takes them: an array `(samples, ...)`, a list or a dict of arrays.
        batch_size: Samples at a time.

    Returns:
        float32 arrays `(samples, ...)` in the structure of the model's outputs; integer and bool outputs as they are.
    """
    return _batches(model, state, x, batch_size, Mode.FOLDED)


def float_outputs(model: keras.Model, x, batch_size: int = BATCH):
    """Returns the outputs of a model as it is, in float32; arguments and result as for `simulate`."""
    return _batches(model, SimpleNamespace(op_plans=[], inputs=[]), x, batch_size, Mode.FOLDED)


def observe(model: keras.Model, state, samples: list[dict[str, np.ndarray]], batch_size: int = 32):
    """Sets the activation ranges of a state from representative samples.

    Args:
        model: A built model.
        state: What holds `op_plans` and `inputs`.
        samples: One dict by input name per sample, as `calibration.samples` makes them.
        batch_size: Samples at a time.

    Returns:
        The outputs in the structure of the model's: weights lie on their grids, activations stay float.
    """
    specs = input_specs(model)
    names = [s.name for s in keras.tree.flatten(specs)]
    arrays = [np.concatenate([s[n] for s in samples]) for n in names]
    return _batches(model, state, keras.tree.pack_sequence_as(specs, arrays), batch_size, Mode.OBSERVE)


def _batches(model, state, x, batch_size, mode):
    x = keras.tree.map_structure(np.asarray, x)
    count = len(keras.tree.flatten(x)[0])
    draws, parts, prepared = Draws(), [], {}
    is_small = _is_small(model, count, batch_size)  # before the model is patched
    # TensorFlow warns of functions that are traced again; this one is, for every state of the model
    random = replace_draws(draws) if mode.simulates else contextlib.nullcontext()
    run = (random, override_attributes(no_dropout_masks(model)), patched_calls(model, state, mode, prepared=prepared))
    with quiet(), unoptimized(), float32(model), contextlib.ExitStack() as stack:
        for each in run:
            stack.enter_context(each)
        if state.op_plans:  # weights are final: they are read once, not again in each batch
            prepared |= {id(t): prepare(t, mode) for t in state.op_plans}
        forward = _run_at_once(model, draws) if is_small else _traced(model, x, draws)
        starts = range(0, count, batch_size)
        for start in followed(starts, _WHAT.get(mode, "simulating, batches"), len(starts)):
            rows = slice(start, start + batch_size)
            outputs, seen = forward(keras.tree.map_structure(lambda a, rows=rows: tf.convert_to_tensor(a[rows]), x))
            for span, low, high in seen:
                span.widen_by(low, high)
            parts.append(keras.tree.map_structure(np.asarray, outputs))
    return keras.tree.map_structure(_joined, *parts)


def _joined(*parts):
    """Joins batches to one array; classes and masks keep their type."""
    whole = np.concatenate(parts)
    return whole if whole.dtype.kind in "iub" else whole.astype("float32")


def _is_small(model, count: int, batch_size: int) -> bool:
    """Whether a model runs sooner operation by operation than its graph is traced, without filling the memory.

    Keras keeps the outputs of all layers until such a run ends; a loop takes a call of TensorFlow for every step.
    """
    if count > _FEW * batch_size or recurrent(model):
        return False
    sizes = [math.prod(size or 1 for size in s[1:]) for c in trace(model, opens=True).calls for s in c.shapes]
    return 4 * sum(sizes) * min(count, batch_size) <= _MOST_BYTES


def _run_at_once(model, draws):
    """Returns a function as `_traced` does, which computes each operation when the model's call reaches it."""

    def forward(inputs):
        draws.begin()
        with widened_later() as found:
            outputs = model(inputs, training=False)
        return outputs, found

    return forward


def _traced(model, x, draws):
    """Traces the model's call as one graph for batches of every size, as tracing takes longer than running.

    Returns:
        The function from a batch to the outputs and what the ranges observed, as `(range, low, high)`.
    """
    specs, ranges = keras.tree.map_structure(lambda a: tf.TensorSpec((None, *a.shape[1:]), a.dtype), x), []

    def forward(inputs):
        draws.begin()
        with widened_later() as found:
            outputs = model(inputs, training=False)
        ranges[:] = [span for span, _, _ in found]
        return outputs, tf.reshape([bound for _, *bounds in found for bound in bounds], (-1, 2))

    function = tf.function(forward, autograph=False).get_concrete_function(specs)

    def run(inputs):
        outputs, seen = function(inputs)
        return outputs, [(span, *bounds) for span, bounds in zip(ranges, np.asarray(seen), strict=True)]

    return run
