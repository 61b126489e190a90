"""The nets of `coverage.py`: small ones of the kinds that people build, random weights and statistics.

Each module registers functions `(rng) -> (model, samples)` by `common.net`; adding a net is writing one.
"""

import importlib

from nets.common import NETS

MODULES = (
    "flat_vision",
    "flat_series",
    "hub_conv",
    "hub_vision",
    "hub_text",
    "io_vision",
    "io_series",
    "composite",
    "own_vision",
    "own_text",
    "own_series",
)

for name in MODULES:
    importlib.import_module(f"nets.{name}")

__all__ = ["NETS"]
