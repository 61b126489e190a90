"""Compresses Keras models and converts them to integer TensorFlow Lite files, checked against the float model.

This module holds the public names only. Each is imported when it is first used, so that `import
tfcompress` does not import TensorFlow.

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

from tfcompress.moved_modules import install as _install

if TYPE_CHECKING:  # what editors and type checkers see; `_HOMES` is what runs
    from tfcompress import schedules as schedules
    from tfcompress import testing as testing
    from tfcompress.benchmarking.benchmark import benchmark as benchmark
    from tfcompress.channels.criteria import channel_criterion as channel_criterion
    from tfcompress.conversion.convert import convert as convert
    from tfcompress.evaluate.compare import compare as compare
    from tfcompress.evaluate.energy import energy as energy
    from tfcompress.export.loading import load_model as load_model
    from tfcompress.export.unconvertible import NotConvertible as NotConvertible
    from tfcompress.export.verify import NotFullyInteger as NotFullyInteger
    from tfcompress.fake_quant.transforms.base import Transform as Transform
    from tfcompress.layer_table.activations import elementwise as elementwise
    from tfcompress.layer_table.lookup import LayerSpec as LayerSpec
    from tfcompress.layer_table.lookup import describe as describe
    from tfcompress.layer_table.lookup import spec_of as spec_of
    from tfcompress.pipeline.chained import ChainedArtifact as ChainedArtifact
    from tfcompress.quant_spec import QuantSpec as QuantSpec
    from tfcompress.report.write import write_report as write_report
    from tfcompress.selection import Where as Where
    from tfcompress.sparsity.criteria import criterion as criterion
    from tfcompress.techniques.base import Technique as Technique
    from tfcompress.techniques.cluster import Cluster as Cluster
    from tfcompress.techniques.distill import Distill as Distill
    from tfcompress.techniques.drop_layers import DropLayers as DropLayers
    from tfcompress.techniques.equalize import Equalize as Equalize
    from tfcompress.techniques.fold import Fold as Fold
    from tfcompress.techniques.low_rank import LowRank as LowRank
    from tfcompress.techniques.merge_channels import MergeChannels as MergeChannels
    from tfcompress.techniques.protocol.graph_technique import GraphTechnique as GraphTechnique
    from tfcompress.techniques.protocol.hook_values import Skip as Skip
    from tfcompress.techniques.prune import Prune as Prune
    from tfcompress.techniques.prune_channels import PruneChannels as PruneChannels
    from tfcompress.techniques.quantize import Quantize as Quantize
    from tfcompress.techniques.recipe import Recipe as Recipe
    from tfcompress.techniques.split_model import split as split
    from tfcompress.tflite.artifact import Artifact as Artifact
    from tfcompress.tflite.fidelity import FidelityWarning as FidelityWarning
    from tfcompress.tflite.fidelity import NotFaithful as NotFaithful
    from tfcompress.tflite.kernels.widths import UnsupportedWidth as UnsupportedWidth
    from tfcompress.tflite.optimizer.slim import slim as slim
    from tfcompress.training.callback import Compression as Compression
    from tfcompress.training.session import Session as Session
    from tfcompress.training.session import compress as compress

_install()

__version__ = "0.1.0"

# Public name -> the module that has it; a module that is public itself maps to None.
_HOMES: dict[str, str | None] = {
    "Artifact": "tflite.artifact",
    "ChainedArtifact": "pipeline.chained",
    "Cluster": "techniques.cluster",
    "Compression": "training.callback",
    "Distill": "techniques.distill",
    "DropLayers": "techniques.drop_layers",
    "Equalize": "techniques.equalize",
    "FidelityWarning": "tflite.fidelity",
    "Fold": "techniques.fold",
    "GraphTechnique": "techniques.protocol.graph_technique",
    "LayerSpec": "layer_table.lookup",
    "LowRank": "techniques.low_rank",
    "MergeChannels": "techniques.merge_channels",
    "NotConvertible": "export.unconvertible",
    "NotFaithful": "tflite.fidelity",
    "NotFullyInteger": "export.verify",
    "Prune": "techniques.prune",
    "PruneChannels": "techniques.prune_channels",
    "QuantSpec": "quant_spec",
    "Quantize": "techniques.quantize",
    "Recipe": "techniques.recipe",
    "Session": "training.session",
    "Skip": "techniques.protocol.hook_values",
    "Technique": "techniques.base",
    "Transform": "fake_quant.transforms.base",
    "UnsupportedWidth": "tflite.kernels.widths",
    "Where": "selection",
    "benchmark": "benchmarking.benchmark",
    "channel_criterion": "channels.criteria",
    "compare": "evaluate.compare",
    "compress": "training.session",
    "convert": "conversion.convert",
    "criterion": "sparsity.criteria",
    "describe": "layer_table.lookup",
    "elementwise": "layer_table.activations",
    "energy": "evaluate.energy",
    "load_model": "export.loading",
    "schedules": None,
    "slim": "tflite.optimizer.slim",
    "spec_of": "layer_table.lookup",
    "split": "techniques.split_model",
    "testing": None,
    "write_report": "report.write",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used, and stores it in the module."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES[name]
    if home is None:
        value = importlib.import_module(f"{__name__}.{name}")
    else:
        value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Lists the public names, also those not imported yet, and none of the modules behind them."""
    return sorted({*(name for name in globals() if name.startswith("__")), *__all__})
