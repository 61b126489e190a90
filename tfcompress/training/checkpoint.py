"""Saves and loads a compression: techniques as JSON and the state as arrays, in one `.npz` file beside the model."""

import io
import json
import os
import zipfile

import numpy as np

from tfcompress.system.array_files import load_arrays
from tfcompress.system.atomic import write_files
from tfcompress.techniques.recipe import Recipe
from tfcompress.text.log import tell

FORMAT = "tfcompress.compression/1"
_OPTIONS = ("update_every", "learning_rate", "seed", "verbose", "logs")


def save_compression(compression, path: str | os.PathLike) -> None:
    """Saves a compression to a file.

    Args:
        compression: A `CompressionRun` that has a model.
        path: The file.

    Raises:
        ValueError: If a technique can't be written (a user's schedule in code).
    """
    lasting, lesson = _variables(compression)
    arrays = {f"v{k}": v.numpy() for k, v in enumerate(lasting)}
    arrays |= {f"lesson{k}": v.numpy() for k, v in enumerate(lesson)}
    facts = {
        "format": FORMAT,
        # teachers are needed for training only, and a live one can't be written
        "recipe": Recipe([t for t in compression.recipe if t.is_saved]).to_json(),
        "had_distill": not all(t.is_saved for t in compression.recipe),
        "count": len(lasting),
        "lesson": len(lesson),
        "notes": compression.notes,
        "options": {name: getattr(compression, name) for name in _OPTIONS},
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, facts=np.frombuffer(json.dumps(facts).encode(), "uint8"), **arrays)
    write_files({path: buffer.getvalue()})


def _variables(compression) -> tuple[list, list]:
    """Returns the variables to save, and separately those that unsaved techniques (`Distill`) hold for training."""
    lessons = [e for t in compression.recipe if not t.is_saved for e in compression.plan.extras[t.name]]
    own = {id(v) for lesson in lessons for v in lesson.variables}
    found = compression.state.variables
    return [v for v in found if id(v) not in own], [v for v in found if id(v) in own]


def load_compression(cls, path: str | os.PathLike, model=None, distill=None):
    """Loads a compression that `save_compression` wrote.

    Args:
        cls: `Compression`.
        path: The file.
        model: The model it belongs to, built; None to give it later with `set_model`.
        distill: A `Distill` to continue training with, since teachers are not in the file; None to continue without.

    Returns:
        The compression.

    Raises:
        TypeError: If `distill` is no `Distill`.
        ValueError: If the file is no compression, or does not fit the model.
    """
    teachers = _teachers(distill)
    facts, values, lesson = _read(path)
    recipe = Recipe([*Recipe.from_json(facts["recipe"]), *teachers])
    compression = cls(recipe, **facts["options"])
    run = compression.run
    run.notes = list(facts["notes"])
    run.saved = {"values": values, "lesson": lesson, "path": os.fspath(path)}
    if facts["had_distill"] and distill is None:
        tell(
            "tfcompress: the compression was trained with teachers, which are not in its file. To train on with them: "
            "tfc.Compression.load(path, model, distill=tfc.Distill(teacher)).",
            compression.verbose,
        )
    if model is not None:
        compression.set_model(model)
    return compression


def _teachers(distill) -> Recipe:
    try:
        given = Recipe([] if distill is None else distill)
    except TypeError:
        given = None
    if given is None or any(t.is_saved for t in given):
        raise TypeError(f"Compression.load: distill must be a tfc.Distill. Received: {distill!r}.")
    return given


def _read(path):
    name = os.fspath(path)
    if not os.path.isfile(name):
        raise FileNotFoundError(f"Compression.load: there is no file {name!r}.")
    if not zipfile.is_zipfile(name):
        raise ValueError(f"{name!r} is no compression saved by Compression.save, or is cut off.")
    try:
        file = load_arrays(name)
        facts = json.loads(bytes(file["facts"]))
        if facts["format"] != FORMAT:
            raise ValueError(f"its format is {facts['format']!r}, this version reads {FORMAT!r}")
        values = [file[f"v{k}"] for k in range(facts["count"])]
        lesson = [file[f"lesson{k}"] for k in range(facts["lesson"])]
        # each fact is needed; one that is missing is a damaged file as well
        _ = facts["recipe"], facts["had_distill"]
        strange = sorted(set(dict(facts["options"])) - set(_OPTIONS))
        if strange or not isinstance(facts["notes"], list):
            raise ValueError(f"its options must be among {', '.join(_OPTIONS)}, and its notes a list")
    except (LookupError, TypeError, ValueError, OSError, RecursionError) as error:
        raise ValueError(f"{name!r} is no compression saved by Compression.save, or is damaged: {error}.") from error
    return facts, values, lesson


def restore(compression, saved: dict) -> None:
    """Assigns saved values to the state of a compression that has just got its model.

    Args:
        compression: The `CompressionRun`.
        saved: The values that `load_compression` read.

    Raises:
        ValueError: If the state does not fit the model.
    """
    lasting, lesson = _variables(compression)
    pairs = _pairs(lasting, saved["values"])
    if pairs is None:
        pairs = _without_ranges(compression.state, lasting, saved["values"])
        if pairs is None:
            raise ValueError(
                f"The compression in {saved['path']!r} was saved with another model: its state does not fit "
                f"{compression.trained.name!r}. Load the model that was saved with it."
            )
        compression.note(
            "the compression was saved by an earlier release, which had activation ranges at other places: masks and "
            "clusters were taken over, and ranges are set anew by training, or by the calibration data of convert"
        )
    # adapters of another pair of layers start anew
    if [tuple(v.shape) for v in lesson] == [v.shape for v in saved["lesson"]]:
        pairs += zip(lesson, saved["lesson"], strict=True)
    for variable, value in pairs:
        variable.assign(value)


def _pairs(variables: list, values: list) -> list[tuple] | None:
    """Returns variables with their values; None where the shapes differ."""
    fit = [tuple(v.shape) for v in variables] == [tuple(v.shape) for v in values]
    return list(zip(variables, values, strict=True)) if fit else None


def _without_ranges(state, variables: list, values: list) -> list[tuple] | None:
    """Returns the variables besides those of ranges with their values, where only the number of ranges differs.

    Ranges stand between transforms and extras, and hold scalars; how many there are for a layer may change from
    release to release.
    """
    of_ranges = {id(v) for span in state.ranges for v in span.variables}
    places = [k for k, v in enumerate(variables) if id(v) in of_ranges]
    if not places or places != list(range(places[0], places[-1] + 1)):
        return None
    before, behind = variables[: places[0]], variables[places[-1] + 1 :]
    stop = len(values) - len(behind)
    if stop < len(before) or any(np.ndim(v) for v in values[len(before) : stop]):
        return None
    return _pairs([*before, *behind], [*values[: len(before)], *values[stop:]])
