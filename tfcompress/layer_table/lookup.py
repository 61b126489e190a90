"""Looks up layer types in the layer table: axes of weights, what the layer computes, the int8 scale of its output.

Everything else (per-channel axes, kernels, MACs, folding of BatchNormalization, placement of activation ranges, channel
groups) is derived from its rows: those of `keras_*.py`, and those added by `describe`.
"""

# ruff: noqa: F401 (imported for others: the functions and constants of the folder, and the modules with the rows)
from tfcompress.layer_table import keras_layers, keras_layers_without_kernels, keras_ops
from tfcompress.layer_table.activations import (
    ActivationSpec,
    activation,
    activation_spec,
    elementwise,
    is_elementwise,
    probabilities,
)
from tfcompress.layer_table.registry import (
    arguments,
    describe,
    describe_object,
    is_of_keras,
    remove_rows,
    row_of_object,
    rows,
    spec_of,
)
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
    SIGMOID,
    SOFTMAX,
    UNKNOWN,
    LayerSpec,
    Left,
)
from tfcompress.layer_table.weights import has_weight, weight
