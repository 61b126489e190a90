"""Reads `.h5` files of Keras 2: the configuration from attributes, the weights from one group for each layer."""

from __future__ import annotations

import json
import os
from typing import Any

import h5py
import numpy as np

from tfcompress.legacy.guard import DAMAGE, check_hdf5, first_line
from tfcompress.legacy.refused import NotPorted
from tfcompress.legacy.weights.placing import Stored


def is_old(path: str | os.PathLike) -> bool:
    """Returns whether a file is an HDF5 model that a Keras before 3 wrote."""
    if not os.path.isfile(path) or not h5py.is_hdf5(path):
        return False
    try:
        with h5py.File(path, "r") as file:
            return "model_config" in file.attrs and not _text(file.attrs.get("keras_version", "")).startswith("3")
    except DAMAGE:  # cut off
        return False


def read(path: str | os.PathLike) -> tuple[dict[str, Any], dict[str, Stored], dict[str, Any] | None]:
    """Reads configuration and weights of a model.

    Args:
        path: An `.h5` file of a whole model.

    Returns:
        The configuration, the weights by layer, and the training configuration, None if it was not compiled.

    Raises:
        NotPorted: If the file is damaged, or of a Keras before 2, or of another backend.
    """
    try:
        with h5py.File(path, "r") as file:
            check_hdf5(file, os.path.getsize(path))
            config = json.loads(_text(file.attrs["model_config"]))
            training = json.loads(_text(file.attrs.get("training_config", "null")))
            group = file["model_weights"] if "model_weights" in file else file
            _check_writer(file, group)
            names = _names(group, "layer_names")
            return config, {name: _weights(name, group) for name in names}, training
    except DAMAGE as error:
        if isinstance(error, NotPorted):
            raise
        reason = f"a part of the file can't be read: {first_line(error)}."
        raise NotPorted("", f"the model in {os.fspath(path)!r}", reason, "Copy or store the file again.") from error


def _check_writer(file, group):
    version, backend = (_text(file.attrs.get(key, group.attrs.get(key, ""))) for key in ("keras_version", "backend"))
    if version.startswith("1."):
        raise NotPorted(
            "", "the model", f"it was written by Keras {version}.", "Load it with Keras 2 and store it again."
        )
    if backend not in ("", "tensorflow"):
        raise NotPorted(
            "",
            "the model",
            f"it was written with the backend {backend}, which stored kernels in another order.",
            "Load it with Keras 2 on TensorFlow and store it again.",
        )


def _weights(layer: str, group: h5py.Group) -> Stored:
    try:
        return [(name, _array(group[layer][name])) for name in _names(group[layer], "weight_names")]
    except DAMAGE as error:
        reason = f"one of its weights can't be read: {first_line(error)}."
        raise NotPorted(layer, "in the file", reason, "Copy or store the file again.") from error


def _array(dataset):
    # text of any length, references and compounds are no weights
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in "fiub":
        raise ValueError("it is no array of numbers")
    return np.asarray(dataset)


def _names(group, attribute):
    """Returns a list of names from attributes; Keras 2 split long lists into `attribute0`, `attribute1`..."""
    if attribute in group.attrs:
        return [_text(name) for name in group.attrs[attribute]]
    names, number = [], 0
    while f"{attribute}{number}" in group.attrs:
        names += [_text(name) for name in group.attrs[f"{attribute}{number}"]]
        number += 1
    return names


def _text(value):
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
