"""Reads `.keras` files of Keras 2.12 to 2.15 and tf_keras, whose weights are stored under names of layer classes."""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
from typing import Any

import h5py
import numpy as np

from tfcompress.legacy.guard import DAMAGE, LARGEST_TEXT, WEIGHTS, check_archive, first_line, read_member
from tfcompress.legacy.ported import Ported
from tfcompress.legacy.refused import NotPorted
from tfcompress.legacy.weights.placing import finish, snake_case

# Where versions put the layers of a model.
_LAYERS = ("layers", "_layer_checkpoint_dependencies")
_DAMAGED = "Store the model again where it was made, or as an .h5 file."


def is_old(path: str | os.PathLike) -> bool:
    """Returns whether a file is a `.keras` file that a Keras before 3 wrote."""
    if not os.path.isfile(path) or not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("metadata.json").file_size > LARGEST_TEXT:
                return False
            return str(json.loads(read_member(archive, "metadata.json"))["keras_version"]).startswith("2.")
    except DAMAGE:
        return False


def read(path: str | os.PathLike) -> dict[str, Any]:
    """Returns the configuration of a model, `compile_config` included if it was compiled.

    Args:
        path: The file.

    Raises:
        NotPorted: If the file is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            check_archive(archive, os.path.getsize(path))
            return json.loads(read_member(archive, "config.json"))
    except DAMAGE as error:
        raise _unreadable(path, error) from error


def place(model: Ported, path: str | os.PathLike) -> None:
    """Assigns the weights of a file to a ported model.

    Args:
        model: The model made from the file's configuration.
        path: The file.

    Raises:
        NotPorted: If a weight is missing, is left over, or does not fit; the layer is named.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            check_archive(archive, os.path.getsize(path))
            content = io.BytesIO(read_member(archive, WEIGHTS))
        with h5py.File(content, "r") as file:
            _place_twins(model, _place_model(model, file))
    except DAMAGE as error:
        if isinstance(error, NotPorted):
            raise
        raise _unreadable(path, error) from error
    finish(model)


def _unreadable(path, error):
    reason = f"a part of the file can't be read: {first_line(error)}."
    return NotPorted("", f"the model in {os.fspath(path)!r}", reason, _DAMAGED)


def _place(part: Ported, group: h5py.Group) -> list[Ported]:
    if part.inside is None:
        placed = _place_object(part, part.layer, group)
        if placed != len(part.layer.weights):
            reason = f"it has {len(part.layer.weights)} weights, the file has {placed}."
            raise NotPorted(part.name, part.class_name, reason, _DAMAGED)
        return []
    if any(key in group for key in _LAYERS):
        return _place_model(part, group)
    keys = ("layer",) if len(part.inside) == 1 else ("forward_layer", "backward_layer")  # wrappers
    if not set(keys) <= set(group):
        raise NotPorted(part.name, part.class_name, "the file has no weights for the layer in it.", _DAMAGED)
    return [each for inner, key in zip(part.inside, keys, strict=True) for each in _place(inner, group[key])]


def _place_model(model: Ported, group: h5py.Group) -> list[Ported]:
    """Assigns the weights of each layer; returns the layers whose weights are not stored here."""
    within = next((group[key] for key in _LAYERS if key in group and _filled(group[key])), {})
    keys = _keys(model, within)
    elsewhere = []
    for part in model.inside:
        if part.layer is None or not part.layer.weights:
            continue
        key = keys.pop(id(part), None)
        if key is None or not _filled(within[key]):
            elsewhere.append(part)
        else:
            elsewhere += _place(part, within[key])
    return elsewhere


def _keys(model, within):
    """Returns the name of the group of each layer, by the id of its port.

    The groups of a class are numbered in the model's order. Some versions wrote layers twice; one of the two groups is
    then empty, and so are those of layers without weights.
    """
    found, classes = {}, {}
    for part in model.inside:
        classes.setdefault(snake_case(part.class_name), []).append(part)
    for name, parts in classes.items():
        keys = sorted((key for key in within if re.fullmatch(rf"{name}(_\d+)?", key)), key=_number)
        if len(keys) != len(parts):
            keys = [key for key in keys if _filled(within[key])]
            parts = [part for part in parts if part.layer is not None and part.layer.weights]
            if len(keys) > len(parts):
                reason = f"the file has weights of {len(keys)} such layers, the model has {len(parts)}."
                raise NotPorted(model.name, f"the model around {name}", reason, _DAMAGED)
        found |= {id(part): key for part, key in zip(parts, keys, strict=False)}
    return found


def _place_twins(model: Ported, elsewhere: list[Ported]) -> None:
    """Copies weights to layers that are stored elsewhere: a layer that two models share is stored in one of them."""
    everywhere = list(_parts(model))
    lacking = {id(part) for part in elsewhere}
    for part in elsewhere:
        twins = [
            p for p in everywhere if (p.name, p.class_name) == (part.name, part.class_name) and id(p) not in lacking
        ]
        shapes = [tuple(v.shape) for v in part.layer.weights]
        if len(twins) != 1 or [tuple(v.shape) for v in twins[0].layer.weights] != shapes:
            raise NotPorted(part.name, part.class_name, "the file has no weights for it.", _DAMAGED)
        for mine, theirs in zip(part.layer.weights, twins[0].layer.weights, strict=True):
            mine.assign(theirs)


def _parts(model):
    for part in model.inside or ():
        yield part
        yield from _parts(part)


def _place_object(part: Ported, owner: Any, group: h5py.Group) -> int:
    """Assigns the weights of an object and of the objects in its attributes and lists; returns their number."""
    stored = {key: _array(key, value) for key, value in group.get("vars", {}).items()}
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
            placed += sum(
                _place_object(part, each, group[key][name]) for name, each in _numbered(inner) if name in group[key]
            )
        elif inner is None:
            raise NotPorted(part.name, part.class_name, f"Keras 3 has nothing for its weights {key!r}.", _DAMAGED)
        else:
            placed += _place_object(part, inner, group[key])
    return placed


def _array(key, dataset):
    # text of any length, references and compounds are no weights
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in "fiub":
        raise ValueError(f"the weight {key!r:.80} is no array of numbers")
    return np.asarray(dataset)


def _numbered(objects):
    """Yields the objects of a list with their names in the file: `lstm_cell`, `lstm_cell_1`..."""
    taken: dict[str, int] = {}
    for each in objects:
        name = snake_case(type(each).__name__)
        taken[name] = taken.get(name, -1) + 1
        yield (f"{name}_{taken[name]}" if taken[name] else name), each


def _number(key):
    found = re.search(r"_(\d+)$", key)
    return int(found[1]) if found else 0


def _filled(group) -> bool:
    """Returns whether a group holds a value at any level."""
    if isinstance(group, h5py.Dataset):
        return True
    return any(_filled(group[key]) for key in group)
