"""Quantization schemes: bits, grid and ranges of weights and activations. A scheme is a value, not a class.

Grid of a symmetric tensor of b bits: codes -(2^(b-1)-1) .. 2^(b-1)-1 (narrow range), zero point 0;
of an asymmetric one: -2^(b-1) .. 2^(b-1)-1, any zero point. Real value = scale * (code - zero
point), see Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", 2018.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import keras
import numpy as np

from tfcompress.file_formats import FORMATS, INT8, Codes, activations_of, is_stored
from tfcompress.schedules.base import store
from tfcompress.text.printable import shown
from tfcompress.validation import checks

RANGES = ("moving", "percentile", "learned")
_SCHEME = re.compile(r"w([0-9]{1,2})a([0-9]{1,2})")


@keras.saving.register_keras_serializable("tfcompress")
@dataclasses.dataclass(frozen=True)
class QuantSpec:
    """A quantization scheme: how weights and activations of a layer are quantized.

    Args:
        weight_bits: Bits of a weight, 2..16, or None for float weights.
        activation_bits: Bits of an activation, 2..16, or None for float activations.
        symmetric_weights: Whether weights have zero point 0 and the narrow range.
        symmetric_activations: The same for activations; the int16 kernels need it.
        per_channel: One scale per output channel (True), per tensor (False), or "auto": per
            channel unless one scale costs no accuracy and gives the smaller file.
        ranges: How activation ranges are found: "moving" (exponential mean of the minima and
            maxima of the batches), "percentile" (the same, of percentiles) or "learned" (trained).
        momentum: Part of the old range that is kept per step, in [0, 1).
        percentile: Per cent of the values inside the range, in (50, 100]; for "percentile".

    Raises:
        ValueError: If a value is not accepted.
        TypeError: If a value has the wrong type.

    Example:
        >>> QuantSpec(weight_bits=4).weight_codes
        (-7, 7)
    """

    weight_bits: int | None = INT8.weights.bits
    activation_bits: int | None = INT8.activations.bits
    symmetric_weights: bool = True
    symmetric_activations: bool = False
    per_channel: bool | str = "auto"
    ranges: str = "moving"
    momentum: float = 0.99
    percentile: float = 99.99

    def __post_init__(self) -> None:
        """Validates."""
        for name in ("weight_bits", "activation_bits"):
            if getattr(self, name) is not None:
                store(self, name, _bits(name, getattr(self, name)))
        if self.weight_bits is None and self.activation_bits is None:
            raise ValueError(
                "QuantSpec: weight_bits and activation_bits are both None, so nothing would be "
                "quantized. To leave a layer alone, use the override None."
            )
        for name in ("symmetric_weights", "symmetric_activations"):
            store(self, name, checks.flag("QuantSpec", name, getattr(self, name)))
        store(self, "per_channel", by_channel("QuantSpec", self.per_channel))
        store(self, "ranges", checks.choice("QuantSpec", "ranges", self.ranges, RANGES))
        store(self, "momentum", checks.number("QuantSpec", "momentum", self.momentum, least=0, below=1))
        store(self, "percentile", checks.number("QuantSpec", "percentile", self.percentile, above=50, most=100))

    @classmethod
    def preset(cls, name: str) -> QuantSpec:
        """Returns a scheme by its name.

        Args:
            name: "int8" (weights and activations of 8 bits), "weights" (weights of 8 bits,
                activations float), "int16x8" (activations of 16 bits, weights of 8), or
                "w<bits>a<bits>" such as "w4a8".

        Returns:
            The specification; activations of 16 bits are symmetric.

        Raises:
            ValueError: If there is no such scheme.

        Example:
            >>> QuantSpec.preset("w4a8") == QuantSpec(weight_bits=4)
            True
        """
        if isinstance(name, str) and name == "weights":
            return cls(activation_bits=None)
        stored = FORMATS.get(name) if isinstance(name, str) else None
        if stored is not None and stored.is_integer:
            bits = stored.weights.bits, stored.activations.bits
        elif scheme := _SCHEME.fullmatch(str(name)):
            bits = int(scheme[1]), int(scheme[2])
        else:
            raise ValueError(
                'QuantSpec: a preset must be "int8", "weights", "int16x8" or "w<bits>a<bits>" such as '
                f'"w4a8". Received: {shown(name)}.'
            )
        codes = activations_of(bits[1])
        return cls(*bits, symmetric_activations=codes is not None and codes.symmetric)

    @property
    def weight_codes(self) -> tuple[int, int] | None:
        """Lowest and highest integer code of a weight, None for float weights."""
        return None if self.weight_bits is None else _codes(self.weight_bits, self.symmetric_weights).limits

    @property
    def activation_codes(self) -> tuple[int, int] | None:
        """Lowest and highest integer code of an activation, None for float activations."""
        return None if self.activation_bits is None else _codes(self.activation_bits, self.symmetric_activations).limits

    @property
    def unstored(self) -> str | None:
        """The part of the scheme that no `.tflite` file of the converter can hold; None if there is none."""
        lost = []
        if self.weight_bits is not None and not is_stored(_codes(self.weight_bits, True)):
            lost.append(f"weights of {self.weight_bits} bits")
        elif self.weight_bits is not None and not self.symmetric_weights:
            lost.append("asymmetric weights")
        if self.activation_bits is not None and activations_of(self.activation_bits) is None:
            lost.append(f"activations of {self.activation_bits} bits")
        return " and ".join(lost) or None

    def get_config(self) -> dict[str, Any]:
        """Returns the fields as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> QuantSpec:
        """Inverse of `get_config`."""
        return cls(**config)


def quant_spec(value: Any) -> QuantSpec:
    """Makes a `QuantSpec` of a preset's name or of a `QuantSpec`.

    Args:
        value: A preset's name or a `QuantSpec`.

    Returns:
        A `QuantSpec`.

    Raises:
        TypeError: If it is neither.
        ValueError: If there is no such preset.

    Example:
        >>> quant_spec("int8") == QuantSpec()
        True
    """
    if isinstance(value, QuantSpec):
        return value
    if isinstance(value, str):
        return QuantSpec.preset(value)
    raise TypeError(
        'A quantization scheme must be a preset such as "int8" or a QuantSpec. Received: '
        f"{shown(value)} of type {type(value).__name__}."
    )


def _bits(name: str, value: Any) -> int:
    if not isinstance(value, int | np.integer) or isinstance(value, bool):
        checks.refuse(TypeError, "QuantSpec", name, "an int or None", value)
    return checks.whole("QuantSpec", name, value, 2, 16, "None leaves them float.")


def by_channel(owner: str, value: Any) -> bool | str:
    """Checks the choice of weight scales (True, False or "auto"), and returns it."""
    if isinstance(value, str) and value == "auto":
        return "auto"
    if not isinstance(value, bool | np.bool_):
        checks.refuse(
            ValueError if isinstance(value, str) else TypeError, owner, "per_channel", 'True, False or "auto"', value
        )
    return bool(value)


def _codes(bits: int, symmetric: bool) -> Codes:
    return Codes(bits, symmetric=symmetric, narrow=symmetric)
