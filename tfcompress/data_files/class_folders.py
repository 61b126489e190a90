"""Finds the files of a folder with their labels: class folders, with or without a train and a test part."""

import os
from dataclasses import dataclass

import numpy as np

from tfcompress.calibration.image_folder import evenly
from tfcompress.data_files.reader import Reader, Source
from tfcompress.text.printable import printable

TRAIN = "train"
TESTS = ("test", "validation", "val")  # the first one that there is, is the test part
HOW = "Arrange them as FOLDER/CLASS/FILE, or FOLDER/train/CLASS/FILE and FOLDER/test/CLASS/FILE"

File = tuple[str, ...]  # the parts of its path below the folder


@dataclass(frozen=True)
class Part:
    """Files to read, with their labels.

    Attributes:
        files: Paths.
        labels: Class number of each, or None.
    """

    files: list[str]
    labels: np.ndarray | None


@dataclass(frozen=True)
class Layout:
    """What a folder holds.

    Attributes:
        train: The training part, or all files.
        test: The test part, or None.
        classes: Names of the classes, or None.
        notes: What was left out, a sentence each.
    """

    train: Part
    test: Part | None
    classes: tuple[str, ...] | None
    notes: tuple[str, ...]


def files_below(folder: str) -> list[File]:
    """Finds all files below a folder, except hidden ones.

    Args:
        folder: The folder.

    Returns:
        The parts of their paths below the folder, sorted.
    """
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = os.path.relpath(place, folder)
        parts = () if below == os.curdir else tuple(below.split(os.sep))
        found += [(*parts, name) for name in files if not name.startswith(".")]
    return sorted(found)


def layout_of(source: Source, reader: Reader) -> Layout:
    """Sorts the files of a folder into parts and classes.

    Sub-folders are classes, numbered in the order of their names, as `keras.utils.image_dataset_from_directory` does;
    `train` beside `test` (or `validation`, `val`) are parts with the same classes.

    Args:
        source: The folder.
        reader: The reader whose files are looked for.

    Returns:
        The files to read, of the part that is asked for; not more of each part than `source.limit`.

    Raises:
        ValueError: If the parts have different classes, or there is a test part alone.
    """
    files = [file for file in files_below(source.path) if reader.is_one(file[-1])]
    parts = _parts(source, files)
    if parts is None:
        train, classes, notes = _part(source, (), files)
        return Layout(train, None, classes, notes)
    # One folder alone makes no classes, unless the other part shows that folders are classes.
    is_sorted = len({file[:2] for file in files if len(file) > 2}) > len({file[:1] for file in files if len(file) > 2})
    train, classes, notes = _part(source, parts[0], files, is_sorted)
    unread = sorted({file[0] for file in files} - {name for (name,) in parts})
    notes += tuple(f"{source.name}: {name} is not read, {parts[1][0]} is the test part" for name in unread)
    if len(parts) == 1:
        return Layout(train, None, classes, notes)
    test, test_classes, more = _part(source, parts[1], files, is_sorted)
    _check_classes(source, parts, classes, test_classes)
    notes = tuple(dict.fromkeys(notes + more))
    if source.part is not None:
        return Layout(train if source.part == "train" else test, None, classes, notes)
    return Layout(train, test, classes, notes)


def _parts(source: Source, files: list[File]) -> list[File] | None:
    """Folders of the training and the test part; None if the folder has no parts."""
    tops = {file[0].lower(): file[0] for file in files if len(file) > 1}
    if not tops or any(len(file) == 1 for file in files) or not set(tops) <= {TRAIN, *TESTS}:
        return None
    if TRAIN not in tops:
        first = next(iter(tops.values()))
        raise ValueError(
            f"{source.named}: the folder has {', '.join(tops.values())} and no {TRAIN}. {HOW}, or give one part: "
            f"{source.flag}={printable(os.path.join(source.path, first))}."
        )
    return [(tops[name],) for name in (TRAIN, next((name for name in TESTS if name in tops), "")) if name]


def _part(
    source: Source, top: File, files: list[File], is_sorted: bool = False
) -> tuple[Part, tuple[str, ...] | None, tuple[str, ...]]:
    """Returns a part, its classes and notes on them."""
    inside = [file[len(top) :] for file in files if file[: len(top)] == top]
    folder = os.path.join(source.path, *top)
    folders = sorted(e.name for e in os.scandir(folder) if e.is_dir() and not e.name.startswith("."))
    held = {file[0] for file in inside if len(file) > 1}
    loose = sum(len(file) == 1 for file in inside)
    where = "/".join(top) or source.name
    classes, notes = None, []
    if loose and held:
        notes.append(f"{where}: {loose} files lie beside its folders, so the folders are not taken as classes")
    elif len(held) == 1 and not is_sorted:
        notes.append(f"{where}: files lie in one folder alone ({min(held)}), which makes no classes")
    elif held:
        classes = tuple(folders)
        if empty := [name for name in folders if name not in held]:
            notes.append(f"{where}: folders without such files count as classes too: {', '.join(empty)}")
    number = {name: index for index, name in enumerate(classes or ())}
    labels = np.array([number[file[0]] for file in inside], np.int64) if classes else None
    return _limited(source, [os.path.join(folder, *file) for file in inside], labels), classes, tuple(notes)


def _limited(source: Source, paths: list[str], labels: np.ndarray | None) -> Part:
    if source.limit is None or len(paths) <= source.limit:
        return Part(paths, labels)
    rows = evenly(len(paths), source.limit)
    return Part([paths[row] for row in rows], None if labels is None else labels[rows])


def _check_classes(
    source: Source, parts: list[File], train: tuple[str, ...] | None, test: tuple[str, ...] | None
) -> None:
    if train == test:
        return
    missing = sorted(set(train or ()) - set(test or ()))
    new = sorted(set(test or ()) - set(train or ()))
    faults = [f"has no class {', '.join(missing)}"] if missing else []
    faults += [f"has the class {', '.join(new)}, which {parts[0][0]} has not"] if new else []
    raise ValueError(f"{source.named}: {parts[1][0]} {' and '.join(faults)}. Both parts need the same class folders.")
