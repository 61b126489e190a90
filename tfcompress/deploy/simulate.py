"""The model as the file will compute it, run in TensorFlow: quantization simulated, outputs dequantized."""

import keras
import numpy as np
import tensorflow as tf

from tfcompress.deploy.quiet import quiet
from tfcompress.mechanics.chain import Mode
from tfcompress.mechanics.graph import float32, input_specs
from tfcompress.mechanics.hook import laid


def simulate(model: keras.Model, state, x, batch_size: int = 128):
    """Returns the outputs of a model under the treatments of a state.

    Args:
        model: A built model.
        state: What holds `treatments` and `inputs`.
        x: Inputs as the model takes them: an array `(samples, ...)`, a list or a dict of arrays.
        batch_size: Samples at a time.

    Returns:
        float32 arrays `(samples, ...)` in the structure of the model's outputs.
    """
    return _batches(model, state, x, batch_size, Mode.FOLDED)


def observe(model: keras.Model, state, samples: list[dict[str, np.ndarray]], batch_size: int = 32):
    """Lets the activation ranges of a state look at representative samples.

    Args:
        model: A built model.
        state: What holds `treatments` and `inputs`.
        samples: One dict by input name per sample, as `calibration.samples` makes them.
        batch_size: Samples at a time.

    Returns:
        What the float model answers, as `simulate` returns it.
    """
    specs = input_specs(model)
    names = [s.name for s in keras.tree.flatten(specs)]
    arrays = [np.concatenate([s[n] for s in samples]) for n in names]
    return _batches(model, state, keras.tree.pack_sequence_as(specs, arrays), batch_size, Mode.OBSERVE)


def _batches(model, state, x, batch_size, mode):
    x = keras.tree.map_structure(np.asarray, x)
    count = len(keras.tree.flatten(x)[0])

    @tf.function(reduce_retracing=True, autograph=False)
    def forward(inputs):
        return model(inputs, training=False)

    parts = []
    # TensorFlow warns of functions made anew; this one is, for every state of the model
    with quiet(), float32(model), laid(model, state, mode):
        for start in range(0, count, batch_size):
            rows = slice(start, start + batch_size)
            outputs = forward(keras.tree.map_structure(lambda a, rows=rows: tf.convert_to_tensor(a[rows]), x))
            parts.append(keras.tree.map_structure(np.asarray, outputs))
    return keras.tree.map_structure(lambda *p: np.concatenate(p).astype("float32"), *parts)
