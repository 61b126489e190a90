"""Quantize: quantization-aware training rounds weights and activations as the integer file does.

Fake quantization after Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", 2018. BatchNormalization is folded as in that paper; with a scale per channel the
grid is the same before and after folding, so training needs no second pass.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

import keras

from tfcompress.fake_quant.transforms.centroids import Centroids
from tfcompress.fake_quant.transforms.quantize import QuantizeWeight
from tfcompress.quant_spec import RANGES, QuantSpec, by_channel, quant_spec
from tfcompress.selection import resolve
from tfcompress.techniques.base import Skip, Target, Technique
from tfcompress.validation import checks


@keras.saving.register_keras_serializable("tfcompress")
@dataclass(frozen=True)
class Quantize(Technique):
    """Trains a model under fake quantization, so that weights and ranges fit the integer file.

    Args:
        scheme: "int8" (weights and activations), "weights" (weights on the int8 grid, activations
            float: a dynamic-range file), another preset of `tfc.QuantSpec` such as "w4a8", or a
            `QuantSpec`.
        ranges: How activation ranges are set: "moving", "percentile" or "learned"; None for the
            scheme's choice.
        per_channel: One weight scale per output channel, per tensor, or "auto": per channel, unless
            the kernel is clustered; then per tensor, so that k shared values stay k codes. A kernel
            with a BatchNormalization folded into it always has one scale per channel.
        where: Which weights; None for every kernel. Activations follow the layers.
        overrides: Other schemes by layer name or type; None leaves the layer float.

    Raises:
        ValueError: If there is no such scheme.

    Example:
        >>> import tfcompress as tfc
        >>> tfc.Quantize("int8", overrides={"head": None}).spec.weight_bits
        8
    """

    scheme: Any = "int8"
    ranges: str | None = None
    per_channel: Any = None

    order = 30
    treats_frozen = True  # rounding leaves weights as they are, and the file needs it

    def __post_init__(self) -> None:
        """Validates the fields."""
        if self.ranges is not None:
            self.set(ranges=checks.choice("Quantize", "ranges", self.ranges, RANGES))
        if self.per_channel is not None:
            self.set(per_channel=by_channel("Quantize", self.per_channel))
        super().__post_init__()
        if isinstance(self.scheme, Quantize):
            checks.refuse(TypeError, "Quantize", "scheme", "a preset such as 'int8' or a QuantSpec", self.scheme)
        checks.within("Quantize", "scheme", lambda: self.accept(self.scheme))

    @property
    def spec(self) -> QuantSpec:
        """The scheme as a `QuantSpec`."""
        return self.accept(self.scheme)

    def layer_spec(self, layer: Any) -> QuantSpec | None:
        """Returns the scheme of a layer, None if it stays float."""
        value = resolve(layer, self.scheme, self.overrides)
        return None if value is None else self.accept(value)

    def default(self) -> Any:
        """Returns the scheme."""
        return self.scheme

    def accept(self, value: Any) -> QuantSpec:
        """Converts the name of a preset, a `Quantize` or a `QuantSpec` to a `QuantSpec`."""
        if isinstance(value, Quantize):  # an override with choices of its own
            if value.where is not None or value.overrides is not None:
                raise ValueError(
                    "Quantize: a Quantize among the overrides chooses no layers. Leave out its where and overrides."
                )
            return value.spec
        spec = quant_spec(value)
        changes: dict[str, Any] = {"ranges": self.ranges, "per_channel": self.per_channel}
        return dataclasses.replace(spec, **{k: v for k, v in changes.items() if v is not None})

    def setting(self, target: Target) -> Any:
        """Returns the scheme for a weight, or a `Skip` where weights stay float."""
        value = super().setting(target)
        if isinstance(value, QuantSpec) and value.weight_bits is None:
            return Skip("Quantize: the scheme leaves weights float")
        return value

    def transforms(self, target: Target, setting: QuantSpec, seed: int) -> list:
        """Returns the transform that rounds the weight to its integer grid."""
        axes = target.spec.channel_axes(target.weight) if self._by_channel(target, setting) else ()
        return [QuantizeWeight(setting.weight_bits, setting.symmetric_weights, axes, target.axes)]

    @staticmethod
    def _by_channel(target: Target, setting: QuantSpec) -> bool:
        if target.chain.is_borrowed:  # other code reads it too and may sum over what are channels here
            return False
        if target.has_norm:  # folding multiplies every channel by a factor of its own
            return True
        if setting.per_channel != "auto":
            return bool(setting.per_channel)
        shared = target.chain.find(Centroids)
        return shared is None or shared.per_channel

    def action(self, target: Target, setting: QuantSpec) -> str:
        """Names bits and scales."""
        by = "one scale per channel" if self._by_channel(target, setting) else "one scale per tensor"
        return f"Quantize {setting.weight_bits} bits, {by}" + (", in simulation only" if setting.unstored else "")

    def remarks(self, model: keras.Model) -> list[str]:
        """Names schemes that can be simulated but not stored in a file."""
        schemes = [self.scheme, *(v for v in (self.overrides or {}).values() if v is not None)]
        lost = dict.fromkeys(what for s in schemes if (what := self.accept(s).unstored))
        return [
            f"Quantize: a .tflite file of this converter holds symmetric 8-bit weights with 8- or 16-bit activations; "
            f"{what} exist in simulation only, and convert will refuse an integer file. Train with "
            "tfc.Quantize('int8'), or expect mode='float32'."
            for what in lost
        ]
