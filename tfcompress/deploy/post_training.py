"""Post-training quantization by the mechanism of training: grids and ranges laid over the model, filled by data."""

from collections.abc import Callable

import keras
import numpy as np

from tfcompress.facts.spec import spec_of, weight
from tfcompress.mechanics.chain import Chain, Treatment
from tfcompress.mechanics.graph import full_precision, leaves
from tfcompress.mechanics.placement import Spot
from tfcompress.mechanics.ranging import ranged
from tfcompress.mechanics.state import CompressionState
from tfcompress.mechanics.transforms.quantize import QuantizeWeight
from tfcompress.mechanics.transforms.ranges import ActivationRange


def quantized_state(
    model: keras.Model, left_out: Callable[[object], bool], per_tensor: bool = False
) -> CompressionState:
    """Makes the int8 treatments of a model that was not trained for it; its ranges are still to be filled.

    Args:
        model: A built model.
        left_out: Whether an operation stays float.
        per_tensor: Whether kernels that `is_shared` finds clustered get one scale instead of one per channel.

    Returns:
        The state, not attached to the model.

    Raises:
        ValueError: If the model's graph can't be followed.
    """

    def make(span, op):
        made = ActivationRange(positive=span.positive)
        made.title = span.name
        return made

    spots, inputs = ranged(model, make, left_out, "convert")
    treatments = []
    for index, (path, op) in enumerate(leaves(model)):
        spot = spots.get(id(op), Spot())
        t = Treatment(path, op, index)
        spot.onto(t)
        if not left_out(op):
            for name in spec_of(op).kernels:
                t.chains[name] = _chain(op, name, per_tensor and spot.norm is None)
        treatments.append(t)
    return CompressionState(treatments, inputs)


def _chain(op, name: str, per_tensor: bool) -> Chain:
    spec = spec_of(op)
    chain = Chain(name, weight(op, name))
    axes = () if per_tensor and is_shared(full_precision(chain.variable)) else spec.channel_axes(name)
    chain.add(QuantizeWeight(channel_axes=axes, axes=spec.axes[name]))
    return chain


def is_shared(w) -> bool:
    """Whether a kernel holds few enough values (256) for many weights to share one."""
    w = np.asarray(w)
    return w.size > 1024 and np.unique(w).size <= min(257, w.size // 4)
