"""Noise that rounding adds to the output of one layer."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LayerNoise:
    """Noise that rounding adds to the output of one layer.

    Attributes:
        path: Path of the layer.
        error: Root mean square error of its output, as a fraction of the output's spread.
        fed: The largest error among its inputs.
    """

    path: str
    error: float
    fed: float

    @property
    def decibel(self) -> float:
        """Signal-to-noise ratio of the output."""
        return -20.0 * float(np.log10(max(self.error, 1e-9)))

    @property
    def grown(self) -> float:
        """How much noise the layer adds, as a fraction of the output's spread."""
        return float(np.sqrt(max(self.error**2 - self.fed**2, 0.0)))
