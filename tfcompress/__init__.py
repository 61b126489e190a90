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
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what editors and type checkers see; `_HOMES` is what runs
    from tfcompress.deploy.artifact import Artifact as Artifact
    from tfcompress.deploy.chained import ChainedArtifact as ChainedArtifact
    from tfcompress.deploy.convert import convert as convert
    from tfcompress.deploy.fidelity import FidelityWarning as FidelityWarning
    from tfcompress.deploy.fidelity import NotFaithful as NotFaithful
    from tfcompress.deploy.loading import load_model as load_model
    from tfcompress.deploy.slim import slim as slim
    from tfcompress.deploy.unconvertible import NotConvertible as NotConvertible
    from tfcompress.deploy.verify import NotFullyInteger as NotFullyInteger
    from tfcompress.facts import schedules as schedules
    from tfcompress.facts.activations import elementwise as elementwise
    from tfcompress.facts.quantspec import QuantSpec as QuantSpec
    from tfcompress.facts.select import Where as Where
    from tfcompress.facts.spec import LayerSpec as LayerSpec
    from tfcompress.facts.spec import describe as describe
    from tfcompress.facts.spec import spec_of as spec_of
    from tfcompress.judge.benchmark import benchmark as benchmark
    from tfcompress.judge.compare import compare as compare
    from tfcompress.mechanics.channel_scores import channel_criterion as channel_criterion
    from tfcompress.mechanics.criteria import criterion as criterion
    from tfcompress.techniques.cluster import Cluster as Cluster
    from tfcompress.techniques.distill import Distill as Distill
    from tfcompress.techniques.drop_layers import DropLayers as DropLayers
    from tfcompress.techniques.equalize import Equalize as Equalize
    from tfcompress.techniques.fold import Fold as Fold
    from tfcompress.techniques.low_rank import LowRank as LowRank
    from tfcompress.techniques.merge_channels import MergeChannels as MergeChannels
    from tfcompress.techniques.prune import Prune as Prune
    from tfcompress.techniques.prune_channels import PruneChannels as PruneChannels
    from tfcompress.techniques.quantize import Quantize as Quantize
    from tfcompress.techniques.splitting import split as split
    from tfcompress.training.callback import Compression as Compression
    from tfcompress.training.recipe import Recipe as Recipe
    from tfcompress.training.session import Session as Session
    from tfcompress.training.session import compress as compress

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
