"""The one table of facts about layer types: what each weight's axes mean, and how int8 sees the output.

Everything else (per-channel axes, kernels, MACs, folding of BatchNormalization, placement of activation ranges, what
is cut together with a channel) is derived from its rows: `layers.py` and `operations.py`, and yours.
"""

from tfcompress.layer_table import keras_layers, keras_ops  # noqa: F401 (the rows)
from tfcompress.layer_table.activations import ActivationSpec, activation_spec, is_elementwise
from tfcompress.layer_table.spec import (
    AVERAGE,
    BLEND,
    FIXED,
    FOLD,
    FUSE,
    JOIN,
    NONE,
    OWN,
    SAME,
    UNKNOWN,
    LayerSpec,
    Left,
    arguments,
    describe,
    forget,
    has_weight,
    rows,
    spec_of,
    weight,
)

__all__ = [
    "AVERAGE",
    "BLEND",
    "FIXED",
    "FOLD",
    "FUSE",
    "JOIN",
    "NONE",
    "OWN",
    "SAME",
    "UNKNOWN",
    "ActivationSpec",
    "LayerSpec",
    "Left",
    "activation_spec",
    "arguments",
    "describe",
    "forget",
    "has_weight",
    "is_elementwise",
    "rows",
    "spec_of",
    "weight",
]
