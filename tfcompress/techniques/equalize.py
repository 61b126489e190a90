"""Equalize: scales channels so that one int8 scale fits a whole kernel or all channels of a value, without training.

The equalized model has the output of the original up to float rounding, except that `bias_correction` and `relu6`
change it on purpose.
"""

from dataclasses import dataclass
from typing import Any

import keras

from tfcompress.calibration.evidence import Evidence
from tfcompress.graph.tree import leaves
from tfcompress.rewrites.bias_correction import correct
from tfcompress.rewrites.equalization import equalized
from tfcompress.techniques.protocol.graph_technique import GraphTechnique, check_names, setting_of
from tfcompress.techniques.protocol.hook_values import Change, Left, Operated
from tfcompress.text.printable import shown
from tfcompress.validation import checks

_SMOOTH = "None (no smoothing) or the exponent of the activations' ranges in 0..1, such as 0.5"


@keras.saving.register_keras_serializable("tfcompress")
@dataclass(frozen=True)
class Equalize(GraphTechnique):
    """Equalizes the ranges of weights across layers, and on request those of activations behind normalizations.

    Weights: BatchNormalization is folded into the kernels; then it works between Dense, convolution and depthwise
    layers with ReLU, LeakyReLU, PReLU, pooling or nothing between (Nagel et al., "Data-Free Quantization Through Weight
    Equalization and Bias Correction", 2019). With one scale per output channel there is less to gain than with one per
    tensor.

    Activations, with `smooth`: where a normalization that can't be folded (LayerNormalization, RMSNormalization and the
    like) is read by kernels alone (Dense, convolutions, query, key and value of attention, recurrent layers), its gamma
    and beta are divided by s and the kernels' input channels multiplied, with s_j = max|X_j|^a / max|W_j|^(1 - a) for
    channel j, activations X, kernels W and a = `smooth` (Xiao et al., "SmoothQuant: Accurate and Efficient
    Post-Training Quantization for Large Language Models", 2022, equation 4). Then a few channels of large values, as in
    transformers, no longer set the scale of all others.

    Args:
        relu6: Whether to replace ReLU6 between two layers by ReLU, so that they can be equalized; changes the outputs
            that were clipped.
        bias_correction: Whether to correct biases for the shift of each channel's mean that rounded weights cause;
            changes the float model so that the integer one comes closer to the original. Needs data.
        bits: Bits of a weight, 2..16, for `bias_correction`.
        per_channel: Whether weights are rounded with one scale per output channel, for `bias_correction`.
        smooth: Exponent of the activations' ranges, 0..1, such as 0.5: the larger, the more of them moves into the
            kernels; None leaves activations as they are. Needs data.
        where: Which layers; None for all.
        overrides: `{key: None}` leaves a layer alone.

    Raises:
        TypeError: If a switch is not True or False, `bits` no int, or `smooth` no number.
        ValueError: If `bits` or `smooth` is out of range, or an override is neither None nor True.

    Example:
        >>> import keras, numpy as np, tfcompress as tfc
        >>> layers = [keras.layers.Dense(8, activation="relu", name="a"), keras.layers.Dense(2, name="b")]
        >>> model = keras.Sequential([keras.Input((4,)), *layers])
        >>> model.layers[0].kernel.assign(model.layers[0].kernel * np.geomspace(0.01, 1, 8)) is not None
        True
        >>> after = tfc.Equalize().apply(model)
        >>> spread = np.abs(after.get_layer("a").kernel).max(axis=0)
        >>> float(spread.max() / spread.min()) < 30
        True
    """

    relu6: bool = False
    bias_correction: bool = False
    bits: int = 8
    per_channel: bool = False
    smooth: float | None = None

    def __post_init__(self) -> None:
        """Validates the fields."""
        for name in ("relu6", "bias_correction", "per_channel"):
            self.set(**{name: checks.flag("Equalize", name, getattr(self, name))})
        self.set(bits=checks.whole("Equalize", "bits", self.bits, 2, 16))
        if self.smooth is not None:
            self.set(smooth=checks.number("Equalize", "smooth", self.smooth, 0, 1, accepted=_SMOOTH))
        super().__post_init__()

    def accept(self, value: Any) -> Any:
        """Validates an override, which can only leave a layer alone."""
        if value is not True:
            raise ValueError(f"Equalize: an override must be None (leave alone) or True. Received: {shown(value)}.")
        return value

    def operate(self, model: keras.Model, evidence: Evidence) -> Operated:
        """Equalizes the layers that can be; the rows name layers whose channels can't be scaled."""
        check_names(self, (op for _, op in leaves(model)))
        if self.bias_correction:
            evidence.inputs(model, "Equalize: bias_correction")
        if self.smooth is not None:
            evidence.inputs(model, "Equalize: smooth")
        equal, found = equalized(model, self._takes, self.relu6, self.smooth, evidence.x)
        rows: list[Change | Left] = [
            Left(r.layer, r.what) if r.is_left else Change(r.layer, r.what, r.before, r.after) for r in found
        ]
        if not self.bias_correction:
            return Operated(equal, tuple(rows))
        corrected, most = correct(equal, self._takes, evidence.x, self.bits, self.per_channel)
        rows += [Change(path, f"bias corrected by at most {gap:.3g}") for path, gap in most.items()]
        return Operated(corrected, tuple(rows))

    def _takes(self, op: Any) -> bool:
        return setting_of(self, op) is not None
