"""Reads `.npz` and `.npy` files: arrays named x and y, or by the names of the model's inputs."""

import numpy as np

from tfcompress.calibration.image_folder import evenly
from tfcompress.data_files.arrays import Arrays, chosen, count_of, fit_shape, shape_text
from tfcompress.data_files.reader import Reader, Source
from tfcompress.system.array_files import load_arrays
from tfcompress.text.printable import shown


def read(source: Source) -> Arrays:
    """Reads the arrays of a `.npz` file, or the one of a `.npy` file.

    Args:
        source: The file, and the model's inputs.

    Returns:
        Its inputs and labels.

    Raises:
        ValueError: If the file is damaged, the arrays are missing, or they do not fit the model.
    """
    try:
        loaded = load_arrays(source.path)
    except ValueError as error:
        raise ValueError(f"{source.flag}: {error}") from None
    if isinstance(loaded, np.ndarray):
        name, shape, _ = source.one_input("a .npy file")
        return _limited(source, Arrays(_fitting(source, "the array", loaded, shape)))
    if len(source.inputs) > 1:
        return _limited(source, _by_name(source, loaded))
    (name, shape, _) = source.inputs[0]
    x, y = _names(source, loaded, name)
    data = Arrays(
        _fitting(source, x, loaded[x], shape),
        loaded.get(y),
        _fitting(source, "x_test", loaded["x_test"], shape) if x == "x_train" and "x_test" in loaded else None,
        loaded.get("y_test") if x == "x_train" else None,
    )
    _check_counts(source, data.x, data.y)
    if data.x_test is not None:
        _check_counts(source, data.x_test, data.y_test)
    return _limited(source, data)


def _names(source: Source, loaded: dict[str, np.ndarray], name: str) -> tuple[str, str]:
    for x, y in (("x_train", "y_train"), ("x", "y"), (name, "y" if name != "y" else "")):
        if x in loaded:
            return x, y
    raise ValueError(
        f"{source.named}: expected arrays x (and y), or x_train, y_train, x_test, y_test, or {name} (and y). "
        f"Found: {_listed(loaded)}"
    )


def _by_name(source: Source, loaded: dict[str, np.ndarray]) -> Arrays:
    names = [name for name, _, _ in source.inputs]
    missing = [name for name in names if name not in loaded]
    if missing:
        raise ValueError(
            f"{source.named}: expected an array for each input, named {', '.join(names)} (and y). Missing: "
            f"{', '.join(missing)}. Found: {_listed(loaded)}"
        )
    x = {name: _fitting(source, name, loaded[name], shape) for name, shape, _ in source.inputs}
    y = loaded.get("y") if "y" not in names else None
    counts = {name: len(array) for name, array in x.items()}
    if len(set(counts.values())) > 1:
        raise ValueError(f"{source.named}: the inputs have different numbers of samples: {counts}")
    _check_counts(source, x, y)
    return Arrays(x, y)


def _listed(loaded: dict[str, np.ndarray]) -> str:
    return ", ".join(shown(name).strip("'\"") for name in sorted(loaded)) or "none"


def _fitting(source: Source, what: str, array: np.ndarray, shape: tuple[int | None, ...]) -> np.ndarray:
    """Returns an array with the axes of the input; its numbers and types are checked by whoever uses them."""
    if not array.ndim or not len(array):
        raise ValueError(f"{source.named}: {what} holds no samples")
    x = fit_shape(array, shape)
    if x.ndim != len(shape) + 1 or any(size not in (None, got) for size, got in zip(shape, x.shape[1:], strict=True)):
        raise ValueError(
            f"{source.named}: {what} has the shape {tuple(array.shape)}, the model takes {shape_text(shape)}"
        )
    return x


def _check_counts(source: Source, x, y: np.ndarray | None) -> None:
    if y is not None and (not y.ndim or count_of(x) != len(y)):
        raise ValueError(f"{source.named}: {count_of(x)} inputs have {len(y) if y.ndim else 'no list of'} labels")


def _limited(source: Source, data: Arrays) -> Arrays:
    if source.limit is None:
        return data

    def part(x, y):
        if x is None or count_of(x) <= source.limit:
            return x, y
        rows = evenly(count_of(x), source.limit)
        return chosen(x, rows), None if y is None else y[rows]

    return Arrays(*part(data.x, data.y), *part(data.x_test, data.y_test))


READER = Reader(
    what="a .npz file (x and y; x_train, y_train, x_test, y_test; or arrays named as the inputs), or .npy",
    suffixes=frozenset({".npz", ".npy"}),
    in_folders=False,
    read=read,
)
