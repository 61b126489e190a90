"""`.keras` files of Keras 2.12 to 2.15 and tf_keras: weights by place, under names made of the classes' names."""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
from typing import Any

import h5py
import numpy as np

from tfcompress.legacy.placing import finish, snake_case
from tfcompress.legacy.ported import Ported
from tfcompress.legacy.refused import NotPorted

# Where versions put the layers of a model.
_LAYERS = ("layers", "_layer_checkpoint_dependencies")
_WEIGHTS = "model.weights.h5"
_DAMAGED = "Store the model again where it was made, or as an .h5 file."


def is_old(path: str | os.PathLike) -> bool:
    """Whether a file is a `.keras` file that a Keras before 3 wrote."""
    if not os.path.isfile(path) or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        if "metadata.json" not in archive.namelist():
            return False
        return str(json.loads(archive.read("metadata.json")).get("keras_version", "")).startswith("2.")


def read(path: str | os.PathLike) -> dict[str, Any]:
    """Returns the configuration of a model, `compile_config` included if it was compiled."""
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("config.json"))


def place(model: Ported, path: str | os.PathLike) -> None:
    """Puts the weights of a file into a ported model.

    Args:
        model: The model made of the file's configuration.
        path: The file.

    Raises:
        NotPorted: If a weight is missing, is left over, or does not fit; the layer is named.
    """
    with zipfile.ZipFile(path) as archive:
        if _WEIGHTS not in archive.namelist():
            raise NotPorted("", f"the model in {os.fspath(path)!r}", "the file has no weights.", _DAMAGED)
        content = io.BytesIO(archive.read(_WEIGHTS))
    with h5py.File(content, "r") as file:
        _place_model(model, file)
    finish(model)


def _place(part: Ported, group: h5py.Group) -> None:
    if part.inside is None:
        placed = _place_object(part, part.layer, group)
        if placed != len(part.layer.weights):
            reason = f"it has {len(part.layer.weights)} weights, the file has {placed}."
            raise NotPorted(part.name, part.class_name, reason, _DAMAGED)
    elif any(key in group for key in _LAYERS):
        _place_model(part, group)
    elif len(part.inside) == 1:  # a wrapper
        _place(part.inside[0], group["layer"])
    else:
        for inner, key in zip(part.inside, ("forward_layer", "backward_layer"), strict=True):
            _place(inner, group[key])


def _place_model(model: Ported, group: h5py.Group) -> None:
    """Layers of one class come in the model's order; a number tells them apart, not always the next one."""
    within = next((group[key] for key in _LAYERS if key in group and _filled(group[key])), {})
    ordered: dict[str, list[str]] = {}
    for key in within:
        if _filled(within[key]):
            ordered.setdefault(_class_of(key, model), []).append(key)
    for keys in ordered.values():
        keys.sort(key=_number)
    for part in model.inside:
        if part.layer is None or not part.layer.weights:
            continue
        keys = ordered.get(snake_case(part.class_name), [])
        if not keys:
            raise NotPorted(part.name, part.class_name, "the file has no weights for it.", _DAMAGED)
        _place(part, within[keys.pop(0)])
    weighted = {snake_case(part.class_name) for part in model.inside if part.layer is not None and part.layer.weights}
    left = [key for name, keys in ordered.items() if name in weighted for key in keys]
    if left:
        raise NotPorted("", f"the model {model.name!r}", f"the file has weights for layers it lacks: {left}.", _DAMAGED)


def _class_of(key, model):
    """`conv2d_3` is the fourth of `conv2d`, unless there is a class of that name."""
    classes = {snake_case(part.class_name) for part in model.inside}
    stem = re.sub(r"_\d+$", "", key)
    return stem if key not in classes or stem in classes else key


def _place_object(part: Ported, owner: Any, group: h5py.Group) -> int:
    """Puts the weights of one object and of those it holds as attributes or in lists; returns how many."""
    stored = {key: np.asarray(value) for key, value in group.get("vars", {}).items()}
    try:
        if stored:
            owner.load_own_variables(stored)
    except ValueError as error:
        reason = f"its weights do not fit: {(str(error).splitlines() or [''])[0]}"
        raise NotPorted(part.name, part.class_name, reason, _DAMAGED) from error
    placed = len(stored)
    for key in group:
        if key == "vars" or not _filled(group[key]):
            continue
        inner = getattr(owner, key, None)
        if isinstance(inner, (list, tuple)):
            names = sorted(group[key], key=_number)
            placed += sum(
                _place_object(part, each, group[key][name]) for each, name in zip(inner, names, strict=True)
            )
        elif inner is None:
            raise NotPorted(part.name, part.class_name, f"Keras 3 has nothing for its weights {key!r}.", _DAMAGED)
        else:
            placed += _place_object(part, inner, group[key])
    return placed


def _number(key):
    found = re.search(r"_(\d+)$", key)
    return int(found[1]) if found else 0


def _filled(group) -> bool:
    """Whether a group holds a value anywhere."""
    if isinstance(group, h5py.Dataset):
        return True
    return any(_filled(group[key]) for key in group)
