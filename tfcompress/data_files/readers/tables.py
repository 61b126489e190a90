"""Reads `.csv` files: a column for each feature, and one for the label."""

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tfcompress.calibration.image_folder import evenly
from tfcompress.data_files.arrays import Arrays, Input, count_of, is_whole, shape_text
from tfcompress.data_files.reader import Reader, Source
from tfcompress.text.printable import shown

_SURE = ("label", "class", "target")  # a column of such a name is the label; y may be a coordinate as well
_LABELS = (*_SURE, "y")
_WAY_OUT = "A label column is named label, class, target or y, or is the last one and one more than the features."

Row = tuple[int, list[str]]  # number of the line in the file, cells


@dataclass(frozen=True)
class _Columns:
    """Which column is what."""

    names: list[str] | None  # of the header
    count: int
    label: int | None
    features: dict[str, list[int]]  # by input

    def named(self, column: int) -> str:
        return f"column {column + 1}" + (f" ({self.names[column]!r})" if self.names else "")


def read(source: Source) -> Arrays:
    """Reads the rows of a table as samples.

    A first row that does not consist of numbers is the header. Numbers of the features are taken row by row in the
    shape of the input; labels that are texts become numbers in the order of the sorted texts.

    Args:
        source: The file, and the model's inputs.

    Returns:
        Inputs of the model's type, and labels where there is a column for them.

    Raises:
        ValueError: If columns do not fit the model, a row has another length, or a cell is no number.
    """
    rows = _rows(source)
    first = next(rows, None)
    if first is None:
        raise ValueError(f"{source.named}: is empty")
    names = [name.strip() for name in first[1]] if _is_header(first[1]) else None
    columns = _columns(source, names, len(first[1]))
    features, labels = _cells(source, columns, rows if names else _with(first, rows))
    x = {given[0]: _shaped(source, columns, given, *features[given[0]]) for given in source.inputs}
    count = count_of(x)
    if not count:
        raise ValueError(f"{source.named}: has a header and no rows")
    y, classes = (None, None) if columns.label is None else _numbered(labels)
    if source.limit is not None and count > source.limit:
        some = evenly(count, source.limit)
        x, y = {name: array[some] for name, array in x.items()}, None if y is None else y[some]
    return Arrays(x if len(x) > 1 else next(iter(x.values())), y, classes=classes)


def _rows(source: Source) -> Iterator[Row]:
    """Yields the rows that are not empty."""
    try:
        with open(source.path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            for row in reader:
                if row:
                    yield reader.line_num, row
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{source.named}: is no CSV file in UTF-8: {error}") from None


def _with(first: Row, rows: Iterator[Row]) -> Iterator[Row]:
    yield first
    yield from rows


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _is_header(cells: list[str]) -> bool:
    """Whether the first row has names; a text in its last column alone is a label, unless it is a name of labels."""
    texts = [column for column, cell in enumerate(cells) if not _is_number(cell)]
    last = len(cells) - 1
    return bool(texts) and (texts != [last] or last == 0 or cells[last].strip().lower() in _LABELS)


def _columns(source: Source, names: list[str] | None, count: int) -> _Columns:
    if names and len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{source.named}: there are several columns {shown(twice)}. Give each its own name.")
    if len(source.inputs) > 1:
        return _by_name(source, names, count)
    name, shape, _ = source.inputs[0]
    label = _label(source, names)
    others = [column for column in range(count) if column != label]
    if label is None and not _fits(len(others), shape) and _fits(len(others) - 1, shape):
        y = [column for column, text in enumerate(names or ()) if text.lower() == "y"]
        label = y[0] if y else count - 1
        others.remove(label)
    if not _fits(len(others), shape):
        index = "" if not names or names[0] else " The column without a name is an index; write the file without it."
        features = f"{len(others)} of them features, " if label is not None else ""
        raise ValueError(
            f"{source.named}: has {count} columns, {features}and the model takes {math.prod(s or 1 for s in shape)} "
            f"numbers, {shape_text(shape)}.{index} {_WAY_OUT}"
        )
    return _Columns(names, count, label, {name: others})


def _label(source: Source, names: list[str] | None, taken: Sequence[int] = ()) -> int | None:
    """The column that is surely the label; None if no name says so."""
    found = [i for i, name in enumerate(names or ()) if name.lower() in _SURE and i not in taken]
    if len(found) > 1:
        told = ", ".join(shown(names[i]) for i in found)
        raise ValueError(f"{source.named}: several columns may be the label: {told}. Keep or rename one.")
    return found[0] if found else None


def _by_name(source: Source, names: list[str] | None, count: int) -> _Columns:
    features, missing = {}, []
    place = {name: column for column, name in enumerate(names or ())}
    for name, shape, _ in source.inputs:
        many = [f"{name}_{k}" for k in range(count)]
        some = [name] if name in place else [each for each in many if each in place]
        features[name] = [place[each] for each in some]
        if not some or not _fits(len(some), shape) or some not in ([name], many[: len(some)]):
            size = math.prod(s or 1 for s in shape)
            missing.append(name if size == 1 else f"{name}_0 ... {name}_{size - 1}")
    if missing:
        found = "no header" if names is None else f"the columns {shown(names, 300)}"
        raise ValueError(f"{source.named}: expected columns named by the inputs: {', '.join(missing)}. Found: {found}")
    taken = [column for some in features.values() for column in some]
    label = _label(source, names, taken)
    left = [column for column in range(count) if column not in taken and column != label]
    if label is None:
        y = [column for column in left if names[column].lower() == "y"]
        label = y[0] if y else None
        left = [column for column in left if column != label]
    if left:
        told = ", ".join(shown(names[column]) for column in left)
        raise ValueError(f"{source.named}: no input of the model takes the columns {told}. {_WAY_OUT}")
    return _Columns(names, count, label, features)


def _fits(count: int, shape: tuple[int | None, ...]) -> bool:
    """Whether so many numbers make one sample; one axis of any size takes what is left for it."""
    known = math.prod(size for size in shape if size is not None)
    if None not in shape:
        return count == known
    return shape.count(None) == 1 and count > 0 and known > 0 and count % known == 0


def _cells(
    source: Source, columns: _Columns, rows: Iterator[Row]
) -> tuple[dict[str, tuple[list[np.ndarray], list[int]]], list[str]]:
    """Returns the numbers of each input with the lines they stand in, and the texts of the labels."""
    kinds = {name: np.float64 if is_whole(dtype) else np.float32 for name, _, dtype in source.inputs}
    found, labels = {name: ([], []) for name in kinds}, []
    for line, cells in rows:
        if len(cells) != columns.count:
            raise ValueError(f"{source.named}: row {line} has {len(cells)} cells, the first one {columns.count}")
        for name, places in columns.features.items():
            try:
                with np.errstate(over="ignore"):  # what does not fit is infinite, and refused
                    numbers = np.array([float(cells[place]) for place in places], kinds[name])
                is_finite = bool(np.isfinite(numbers).all())
            except ValueError:
                is_finite = False
            if not is_finite:
                _refuse_cell(source, columns, line, cells, places)
            found[name][0].append(numbers)
            found[name][1].append(line)
        if columns.label is not None:
            labels.append(cells[columns.label].strip())
            if not labels[-1]:
                raise ValueError(f"{source.named}: row {line}, {columns.named(columns.label)}: the label is empty")
    return found, labels


def _refuse_cell(source: Source, columns: _Columns, line: int, cells: list[str], places: list[int]) -> None:
    """Names the first cell that holds no number of single precision."""
    for place in places:
        cell = cells[place].strip()
        if not cell or not _is_number(cell) or not abs(float(cell)) <= float(np.finfo(np.float32).max):
            what = f"{shown(cell)} is no finite number" if cell else "the cell is empty"
            raise ValueError(
                f"{source.named}: row {line}, {columns.named(place)}: {what}. Features must be numbers: replace it or "
                f"leave the row out. {_WAY_OUT}"
            )


def _shaped(source: Source, columns: _Columns, given: Input, numbers: list[np.ndarray], lines: list[int]) -> np.ndarray:
    """Puts the rows of an input together, in its shape and type."""
    name, shape, dtype = given
    size = tuple(-1 if axis is None else axis for axis in shape)
    if not numbers:
        return np.empty((0, *(abs(axis) for axis in size)), np.float32)
    table = np.stack(numbers)
    if is_whole(dtype):
        with np.errstate(invalid="ignore"):  # what does not fit differs, and is refused
            cast = table.astype(dtype)
        if not np.array_equal(cast, table):
            row, column = np.argwhere(cast != table)[0]
            raise ValueError(
                f"{source.named}: row {lines[row]}, {columns.named(columns.features[name][column])}: input {name!r} "
                f"takes whole {dtype} numbers. Received: {table[row, column]:g}"
            )
        table = cast
    return table.reshape(len(table), *size)


def _numbered(labels: list[str]) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """Returns labels as numbers, and the names of the classes if they are texts."""
    if all(map(_is_number, labels)) and np.isfinite(values := np.array(labels, np.float64)).all():
        return (values.astype(np.int64) if np.array_equal(values, np.rint(values)) else values.astype(np.float32)), None
    classes, numbers = np.unique(labels, return_inverse=True)
    return numbers.astype(np.int64), tuple(classes.tolist())


READER = Reader(
    what="a .csv file (a column for each number of the input, and one named label)",
    suffixes=frozenset({".csv"}),
    in_folders=False,
    read=read,
)
