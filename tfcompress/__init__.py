"""Smaller Keras models, proven as integer TensorFlow Lite files.

The public names, nothing else. Each is imported when it is first used, so that `import
tfcompress` takes no TensorFlow with it.

Example:
    ```python
    import tfcompress as tfc

    compression = tfc.Compression([tfc.Prune(0.8), tfc.Quantize("int8")])
    model.fit(x, y, epochs=5, callbacks=[compression])
    artifact = compression.convert("model.tflite", calibration=x[:200])
    ```
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

# Public name -> the module that has it; a module that is public itself maps to None.
_HOMES: dict[str, str | None] = {
    "Artifact": "deploy.artifact",
    "ChainedArtifact": "deploy.chained",
    "Cluster": "techniques.cluster",
    "Compression": "training.callback",
    "Distill": "techniques.distill",
    "DropLayers": "techniques.drop_layers",
    "Equalize": "techniques.equalize",
    "FidelityWarning": "deploy.fidelity",
    "Fold": "techniques.fold",
    "LayerSpec": "facts.spec",
    "LowRank": "techniques.low_rank",
    "MergeChannels": "techniques.merge_channels",
    "NotConvertible": "deploy.unconvertible",
    "NotFaithful": "deploy.fidelity",
    "NotFullyInteger": "deploy.verify",
    "Prune": "techniques.prune",
    "PruneChannels": "techniques.prune_channels",
    "QuantSpec": "facts.quantspec",
    "Quantize": "techniques.quantize",
    "Recipe": "training.recipe",
    "Session": "training.session",
    "Where": "facts.select",
    "benchmark": "judge.benchmark",
    "channel_criterion": "mechanics.channel_scores",
    "compare": "judge.compare",
    "compress": "training.session",
    "convert": "deploy.convert",
    "criterion": "mechanics.criteria",
    "describe": "facts.spec",
    "elementwise": "facts.activations",
    "load_model": "deploy.loading",
    "schedules": None,
    "slim": "deploy.slim",
    "spec_of": "facts.spec",
    "split": "techniques.splitting",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used, and keeps it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES[name]
    if home is None:
        value = importlib.import_module(f"{__name__}.facts.{name}")
    else:
        value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Public names, also those not imported yet."""
    return sorted({*globals(), *__all__})
