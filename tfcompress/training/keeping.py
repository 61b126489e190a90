"""A compression on disk: techniques as JSON and the whole state as arrays, in one `.npz` file beside the model."""

import io
import json
import os

import numpy as np

from tfcompress.deploy.atomic import write_files
from tfcompress.techniques.distill import Distill
from tfcompress.training.recipe import Recipe

FORMAT = "tfcompress.compression/1"


def save_compression(compression, path: str | os.PathLike) -> None:
    """Writes a compression.

    Args:
        compression: A `Compression` that has a model.
        path: The file.

    Raises:
        ValueError: If it has no model yet, or a technique can't be written (a user's schedule in code).
    """
    arrays = {f"v{k}": v.numpy() for k, v in enumerate(compression.state.variables)}
    facts = {
        "format": FORMAT,
        # teachers are needed for training only, and a live one can't be written
        "recipe": Recipe([t for t in compression.recipe if not isinstance(t, Distill)]).to_json(),
        "had_distill": any(isinstance(t, Distill) for t in compression.recipe),
        "shapes": [list(v.shape) for v in compression.state.variables],
        "notes": compression.notes,
        "options": {"update_every": compression.update_every, "learning_rate": compression.learning_rate, "seed": compression.seed},
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, facts=np.frombuffer(json.dumps(facts).encode(), "uint8"), **arrays)
    write_files({path: buffer.getvalue()})


def load_compression(cls, path: str | os.PathLike, model=None):
    """Reads what `save_compression` wrote.

    Args:
        cls: `Compression`.
        path: The file.
        model: The model it belongs to, built; None to give it later with `set_model`.

    Returns:
        The compression.

    Raises:
        ValueError: If the file is no compression, or does not fit the model.
    """
    facts, values = _read(path)
    compression = cls(Recipe.from_json(facts["recipe"]), **facts["options"])
    compression.notes = list(facts["notes"])
    compression.saved = {"facts": facts, "values": values, "path": os.fspath(path)}
    if model is not None:
        compression.set_model(model)
    return compression


def _read(path):
    try:
        with np.load(path, allow_pickle=False) as file:
            facts = json.loads(bytes(file["facts"]))
            if facts.get("format") != FORMAT:
                raise ValueError(f"format {facts.get('format')!r}")
            values = [file[f"v{k}"] for k in range(len(facts["shapes"]))]
    except (KeyError, ValueError, OSError, EOFError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(f"{os.fspath(path)!r} is no compression saved by Compression.save: {error}.") from error
    return facts, values


def restore(compression, saved: dict) -> None:
    """Fills the state of a compression that has just met its model.

    Raises:
        ValueError: If the state does not fit the model.
    """
    facts, values, path = saved["facts"], saved["values"], saved["path"]
    variables = compression.state.variables
    shapes = [list(v.shape) for v in variables]
    if facts["had_distill"]:
        # what Distill kept (adapters) stood behind everything a file needs; counters and transforms come first
        values = values[: len(variables)]
    if [list(v.shape) for v in values] != shapes:
        raise ValueError(
            f"The compression in {path!r} was saved with another model: its state does not fit {compression.model.name!r}. "
            "Load the model that was saved with it."
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
