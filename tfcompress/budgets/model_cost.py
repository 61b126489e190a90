"""Computes the parameters and MACs of a model, whole or without some channel groups."""

import keras
import numpy as np

from tfcompress.channels.dependency import Channels
from tfcompress.evaluate.macs_model import model_macs
from tfcompress.layer_table.lookup import spec_of, weight


class Costs:
    """Computes parameters and MACs of a model without some channel groups, from the sizes of its weights.

    The MACs of a layer are taken to shrink in proportion to its kernels; multiplications without kernels don't shrink.

    Args:
        model: The model, flat.
        channels: Its channel groups.
    """

    def __init__(self, model: keras.Model, channels: Channels):
        rows = {row["name"]: row["macs"] for row in model_macs(model)}
        unknown = [name for name, count in rows.items() if count is None]
        if unknown:
            raise ValueError(f"PruneChannels: can't count the MACs of {unknown}. Describe their layers (tfc.describe).")
        self._weights, seen = [], set()
        self._size = len(channels.roots)
        self._fixed, self._fixed_macs = 0, sum(rows.values())
        for use in channels.uses.values():
            spec = spec_of(use.op)
            sizes = {path: int(np.prod(weight(use.op, path).shape)) for path in use.weights}
            all_kernels = sum(sizes[path] for path in spec.kernels if path in sizes)
            for path, vectors in use.weights.items():
                variable = weight(use.op, path)
                if id(variable) in seen:
                    continue
                seen.add(id(variable))
                share = sizes[path] / all_kernels if path in spec.kernels and all_kernels else 0.0
                macs = rows.get(use.path, 0) * share
                self._fixed_macs -= macs
                axes = [(k, channels.roots[v]) for k, v in enumerate(vectors) if v is not None]
                self._weights.append((variable.shape, axes, macs))
        for variable in model.weights:
            if id(variable) not in seen and "float" in variable.dtype:
                self._fixed += int(np.prod(variable.shape))

    def of(self, dead: np.ndarray) -> dict[str, float]:
        """Returns `{"parameters": ..., "macs": ...}` without the groups `dead`."""
        parameters, macs = float(self._fixed), float(self._fixed_macs)
        for shape, axes, count in self._weights:
            left = 1.0
            for axis, made in axes:
                left *= float((~np.isin(made, dead)).sum()) / shape[axis]
            parameters += left * float(np.prod(shape))
            macs += left * count
        return {"parameters": parameters, "macs": macs}

    def each(self, name: str) -> np.ndarray:
        """Returns, by group number, the cost that removing one group alone saves.

        Args:
            name: "parameters" or "macs".
        """
        found = np.zeros(self._size)
        for shape, axes, macs in self._weights:
            left = np.ones(self._size)
            for axis, made in axes:
                left *= 1 - np.bincount(made, minlength=self._size) / shape[axis]
            found += (macs if name == "macs" else float(np.prod(shape))) * (1 - left)
        return found
