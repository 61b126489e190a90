"""Reads representative samples for integer ranges, from any form the user has them in.

Every form becomes a list of `{input name: array (1, ...)}`, checked sample by sample: a wrong
calibration set gives a file that runs and answers nonsense, so it is refused here.
"""

import itertools
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tfcompress.calibration.image_folder import evenly, read_images

# Fewer samples than this give ranges that can't be trusted, so there is a warning.
ADVISED_SAMPLES = 10
MOST_USED = 256  # samples that ranges are found with, unless more are asked for

Input = tuple[str, tuple[int | None, ...], str]


def samples(
    calibration: Any,
    inputs: Sequence[Input],
    minimum: int = 1,
    limit: int = MOST_USED,
    value_range: tuple[float, float] | Mapping[str, tuple[float, float]] | None = None,
    scale: float | Mapping[str, float] = 1.0,
    offset: float | Mapping[str, float] = 0.0,
) -> list[dict[str, np.ndarray]]:
    """Brings calibration data into one form and checks them.

    Args:
        calibration: one of
            an array (n, ...) for a model with one input, or a tuple `(x, y)`, whose `y` is not
            used;
            a dict of arrays (n, ...) by input name;
            a list or tuple of arrays in the order of `inputs`;
            a `tf.data.Dataset`, `keras.utils.PyDataset`, generator, or a function that returns an
            iterator: elements `x`, `(x, y)`, `(x, y, weights)` or dicts, one sample or a batch;
            the path of a folder of pictures (see `image_folder`).
        inputs: (name, shape without the batch dimension, type) of each model input; None in a
            shape accepts any size.
        minimum: fewer samples than this are an error; fewer than 10 give a warning in any case.
        limit: at most this many samples are taken: at even distances from arrays and folders,
            the first ones from everything that is iterated.
        value_range: (lowest, highest) value the model was trained on, for all inputs or by input
            name; values outside of it are an error.
        scale: factor on the values of float inputs, such as 1 / 255 for the pixels 0..255 of a folder; by input
            name if inputs differ.
        offset: added to them after `scale`.

    Returns:
        One dict per sample: `{input name: array (1, ...)}` of the input's type.

    Raises:
        TypeError: if the data have no numeric type or no accepted form.
        ValueError: if samples are too few, hold NaN or infinity, or have another shape, range or
            input name.

    Example:
    >>> x = np.random.default_rng(0).random((500, 8, 8, 1), "float32")
    >>> ready = samples(x, [("image", (8, 8, 1), "float32")], limit=100, value_range=(0, 1))
    >>> len(ready), ready[0]["image"].shape
    (100, (1, 8, 8, 1))
    """
    inputs = [(name, tuple(shape), str(dtype)) for name, shape, dtype in inputs]
    if not 1 <= minimum <= limit:
        raise ValueError(f"calibration: 1 <= minimum <= limit must hold. Received: {minimum=}, {limit=}.")
    factors = _factors(scale, offset, inputs)
    found = list(itertools.islice(_iterate(calibration, inputs, limit), limit))
    ranges = _ranges(value_range, inputs)
    ready = [_checked(sample, index, inputs, ranges, factors) for index, sample in enumerate(found)]
    if len(ready) < minimum:
        raise ValueError(f"calibration: at least {minimum} samples are needed. Received: {len(ready)}.")
    _warn_if_poor(ready, inputs)
    return ready


def _factors(scale: Any, offset: Any, inputs: list[Input]) -> dict[str, tuple[float, float]]:
    """Factor and offset by the name of the input; those that change nothing are left out."""
    pairs = [(name, _number("scale", scale, name, 1.0), _number("offset", offset, name, 0.0)) for name, _, _ in inputs]
    for what, given in (("scale", scale), ("offset", offset)):
        unknown = set(given) - {name for name, _, _ in inputs} if isinstance(given, Mapping) else set()
        if unknown:
            raise ValueError(
                f"calibration: {what} must name inputs out of {[n for n, _, _ in inputs]}. Received: {sorted(unknown)}."
            )
    changed = {name: (factor, shift) for name, factor, shift in pairs if (factor, shift) != (1.0, 0.0)}
    whole = {name: dtype for name, _, dtype in inputs if np.dtype(dtype).kind in "iub"} if changed else {}
    for name in changed.keys() & whole.keys():
        if isinstance(scale, Mapping) or isinstance(offset, Mapping) or len(whole) == len(inputs):
            raise ValueError(
                f"calibration: input {name!r} takes {whole[name]} numbers as they are, so scale and offset have no "
                "place there. Leave them out."
            )
    return {name: pair for name, pair in changed.items() if name not in whole}


def _number(what: str, given: Any, name: str, plain: float) -> float:
    value = given.get(name, plain) if isinstance(given, Mapping) else given
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not np.isfinite(float(value)):
        raise ValueError(f"calibration: {what} must be a finite number, such as 1 / 255. Received: {value!r}.")
    if what == "scale" and not value:
        raise ValueError("calibration: scale must not be 0, which makes every value the same. Received: 0.")
    return float(value)


def _iterate(calibration: Any, inputs: list[Input], limit: int) -> Iterator[dict[str, np.ndarray]]:
    """Yields single samples (1, ...) by input name, still of any type."""
    if calibration is None:
        raise ValueError(
            "calibration: representative samples are needed to choose integer ranges. "
            "Received: None. Give about 100 training inputs, as an array for instance."
        )
    if isinstance(calibration, str | os.PathLike):
        return _from_folder(calibration, inputs, limit)
    if isinstance(calibration, Mapping) or _is_array(calibration):
        return _rows(_by_name(calibration, inputs), inputs, limit)
    if isinstance(calibration, list | tuple):
        return _from_sequence(calibration, inputs, limit)
    return _from_iterable(_iterable(calibration), inputs, limit)


def _from_folder(path: str | os.PathLike, inputs: list[Input], limit: int) -> Iterator[dict[str, np.ndarray]]:
    path = os.fspath(path)
    if not os.path.isdir(path):
        what = "is a file" if os.path.exists(path) else "does not exist"
        raise ValueError(
            f"calibration: {path!r} {what}; a path must be a folder of pictures. Load other data "
            "into an array first, with np.load for instance."
        )
    if len(inputs) != 1:
        raise ValueError(
            "calibration: an image folder serves a model with one input. Received: inputs "
            f"{[name for name, _, _ in inputs]}. Give a dict of arrays by input name."
        )
    name, shape, _ = inputs[0]
    return ({name: image} for image in read_images(path, shape, limit))


def _from_sequence(values: list | tuple, inputs: list[Input], limit: int) -> Iterator[dict[str, np.ndarray]]:
    """Yields the samples of a list: one array per input, `(x, y)`, single samples, batches, or nested numbers."""
    if not values:
        return iter(())
    first = values[0]
    batched = _is_batch(first, inputs)
    if batched and len(values) == len(inputs) and all(_is_array(value) for value in values):
        return _rows(_by_name(list(values), inputs), inputs, limit)
    if batched and isinstance(values, tuple) and len(values) in (2, 3):
        return _rows(_by_name(first, inputs), inputs, limit)
    if _first_array(first) is not None:
        chosen = (values[index] for index in evenly(len(values), limit))
        return _from_iterable(chosen, inputs, limit)
    return _rows(_by_name(_array(values), inputs), inputs, limit)


def _is_batch(value: Any, inputs: list[Input]) -> bool:
    """Returns whether an array, or the first one of a dict or list of arrays, has a batch dimension."""
    array = _first_array(value)
    shapes = {name: shape for name, shape, _ in inputs}
    name = next(iter(value)) if isinstance(value, Mapping) and value else inputs[0][0]
    return array is not None and np.ndim(array) == len(shapes.get(name, ())) + 1


def _first_array(value: Any) -> Any:
    if isinstance(value, Mapping):
        value = next(iter(value.values()), None)
    elif isinstance(value, list | tuple):
        value = value[0] if value else None
    return value if _is_array(value) else None


def _from_iterable(elements: Iterable, inputs: list[Input], limit: int) -> Iterator[dict[str, np.ndarray]]:
    for element in elements:
        arrays = _by_name(_without_labels(element, inputs), inputs)
        name, shape, _ = inputs[0]
        if arrays[name].ndim == len(shape):
            arrays = {name: array[None] for name, array in arrays.items()}
        yield from _rows(arrays, inputs, limit, spread=False)


def _iterable(calibration: Any) -> Iterable:
    """Turns iterators, functions and indexable datasets into something to loop over."""
    if callable(calibration) and not hasattr(calibration, "__iter__"):
        calibration = calibration()
    if hasattr(calibration, "__getitem__") and hasattr(calibration, "__len__"):
        # keras.utils.PyDataset: iterating one directly never ends in some versions.
        return (calibration[index] for index in range(len(calibration)))
    if not isinstance(calibration, Iterable):
        raise TypeError(
            "calibration: accepted are an array, a dict by input name, a list of arrays, a "
            "tf.data.Dataset, a generator or a function that returns one, and the path of an "
            f"image folder. Received: {type(calibration).__name__}."
        )
    return calibration


def _without_labels(element: Any, inputs: list[Input]) -> Any:
    """Returns the model inputs of one element of a dataset: `x`, `(x, y)` or `(x, y, weights)`."""
    if not isinstance(element, list | tuple) or not element:
        return element
    if isinstance(element[0], Mapping | list | tuple):
        return element[0]
    # With several inputs the element may be their list, or (x, y) with a wrong x, which the
    # check of shapes will name.
    return list(element) if len(inputs) > 1 else element[0]


def _by_name(values: Any, inputs: list[Input]) -> dict[str, np.ndarray]:
    names = [name for name, _, _ in inputs]
    if isinstance(values, Mapping):
        if set(values) != set(names):
            raise ValueError(f"calibration: the data must be given for the inputs {names}. Received: {list(values)}.")
        return {name: _array(values[name]) for name in names}
    if not isinstance(values, list | tuple):
        values = [values]
    if len(values) != len(names):
        raise ValueError(
            f"calibration: the model has {len(names)} inputs {names}. Received: {len(values)} "
            "arrays. Give a dict of arrays by input name."
        )
    return {name: _array(value) for name, value in zip(names, values, strict=True)}


def _rows(
    arrays: dict[str, np.ndarray], inputs: list[Input], limit: int, spread: bool = True
) -> Iterator[dict[str, np.ndarray]]:
    """Cuts arrays (n, ...) into single samples (1, ...); views, not copies."""
    for name, shape, _ in inputs:
        if arrays[name].ndim != len(shape) + 1:
            raise ValueError(_shape_error(name, shape, arrays[name].shape))
    counts = {name: len(array) for name, array in arrays.items()}
    count = next(iter(counts.values()))
    if len(set(counts.values())) > 1:
        raise ValueError(f"calibration: inputs have different numbers of samples: {counts}.")
    for index in evenly(count, limit) if spread else range(count):
        yield {name: array[index : index + 1] for name, array in arrays.items()}


def _checked(
    sample: dict[str, np.ndarray],
    index: int,
    inputs: list[Input],
    ranges: dict[str, Any],
    factors: dict[str, tuple[float, float]],
) -> dict[str, np.ndarray]:
    ready = {}
    for name, shape, dtype in inputs:
        values = sample[name]
        if any(want not in (None, -1, got) for want, got in zip(shape, values.shape[1:], strict=True)):
            raise ValueError(_shape_error(name, shape, values.shape))
        _check_values(name, index, values)
        if name in factors:
            scale, offset = (np.float32(number) for number in factors[name])
            values = values.astype(np.float32) * scale + offset
        if name in ranges:
            _check_range(name, index, values, ranges[name])
        ready[name] = _cast(name, index, values, dtype)
    return ready


def _ranges(value_range: Any, inputs: list[Input]) -> dict[str, tuple[float, float]]:
    """Returns the range of values to check, for each input that has one."""
    names = [name for name, _, _ in inputs]
    if value_range is None:
        return {}
    ranges = value_range if isinstance(value_range, Mapping) else dict.fromkeys(names, value_range)
    if not set(ranges) <= set(names):
        raise ValueError(f"calibration: value_range must name inputs out of {names}. Received: {list(ranges)}.")
    for name, limits in ranges.items():
        if len(limits) != 2 or not limits[0] < limits[1]:
            raise ValueError(
                "calibration: value_range must be (lowest, highest), such as (0, 1). Received: "
                f"{limits} for input {name!r}."
            )
    return dict(ranges)


def _check_values(name: str, index: int, values: np.ndarray) -> None:
    if values.dtype.kind not in "fiub" and values.dtype.name != "bfloat16":
        raise TypeError(
            f"calibration: input {name!r} must hold numbers. Received: type {values.dtype} in sample {index}."
        )
    finite = np.isfinite(values.astype(np.float32) if values.dtype.kind == "V" else values)
    if not finite.all():
        raise ValueError(
            f"calibration: input {name!r}, sample {index}: {int((~finite).sum())} of "
            f"{values.size} values are NaN or infinite. Remove the sample or repair the data."
        )


def _check_range(name: str, index: int, values: np.ndarray, limits: tuple[float, float]) -> None:
    low, high = limits
    least, most = float(values.min()), float(values.max())
    if low <= least and most <= high:
        return
    hint = ""
    if most > high and (low, high) == (0, 1) and 0 <= least and most <= 255:
        hint = " Did you forget to divide by 255?"
    raise ValueError(
        f"calibration: input {name!r}, sample {index} holds values from {least:g} to {most:g}, "
        f"outside of value_range=({low:g}, {high:g}).{hint}"
    )


def _cast(name: str, index: int, values: np.ndarray, dtype: str) -> np.ndarray:
    if values.dtype == dtype:
        return values
    cast = values.astype(dtype)
    if np.dtype(dtype).kind in "iub" and not np.array_equal(cast, values):
        raise ValueError(
            f"calibration: input {name!r} takes whole {dtype} numbers. Received: {values.dtype} "
            f"values in sample {index} that do not fit."
        )
    return cast


def _warn_if_poor(ready: list[dict[str, np.ndarray]], inputs: list[Input]) -> None:
    if len(ready) < ADVISED_SAMPLES:
        warnings.warn(
            f"calibration: {len(ready)} samples give poor ranges; give 100 or more (at least {ADVISED_SAMPLES}).",
            stacklevel=3,
        )
    for name, _, _ in inputs:
        first = ready[0][name].flat[0]
        if all((sample[name] == first).all() for sample in ready):
            padding = " (padding alone?)" if first == 0 else ""
            warnings.warn(
                f"calibration: every value of input {name!r} is {first}{padding}, so its range says nothing. Give real "
                "samples.",
                stacklevel=3,
            )
        elif dead := _dead_channels(name, ready):
            warnings.warn(
                f"calibration: channel(s) {dead} of input {name!r} hold one value in all samples, so the layers they "
                "feed are calibrated for that value alone. Give samples in which they vary.",
                stacklevel=3,
            )


def _dead_channels(name: str, ready: list[dict[str, np.ndarray]]) -> list[int]:
    """Returns the channels of pictures that never vary; other features may be constant for good reasons."""
    first = ready[0][name]
    if first.ndim < 4 or first.shape[-1] < 2 or first.dtype.kind != "f":
        return []
    value = first.reshape(-1, first.shape[-1])[0]
    same = np.ones(first.shape[-1], bool)
    for sample in ready:
        same &= (sample[name] == value).reshape(-1, first.shape[-1]).all(axis=0)
    return np.flatnonzero(same)[:8].tolist()


def _shape_error(name: str, shape: tuple[int | None, ...], received: tuple[int, ...]) -> str:
    shown = ", ".join("any" if size in (None, -1) else str(size) for size in shape)
    hint = ""
    if len(received) == len(shape) and received[1:] == tuple(shape[:-1]) and shape[-1] == 1:
        hint = " The channel axis is missing: x[..., None]."
    return (
        f"calibration: input {name!r} takes samples of shape ({shown}), so arrays (n, {shown}). "
        f"Received: an array of shape {received}.{hint}"
    )


def _is_array(value: Any) -> bool:
    return hasattr(value, "__array__")


def _array(value: Any) -> np.ndarray:
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(
            f"calibration: the samples do not form one array ({error}). Give all samples the same shape."
        ) from error
