"""Reads data for a model from any file or folder that there is a reader for."""

import os
from collections.abc import Sequence
from dataclasses import replace

from tfcompress.data_files.arrays import Arrays, Input
from tfcompress.data_files.class_folders import files_below
from tfcompress.data_files.reader import Reader, Source
from tfcompress.data_files.readers import found_readers


def read_data(
    path: str, inputs: Sequence[Input], limit: int | None = None, flag: str = "--data", part: str | None = None
) -> Arrays:
    """Reads inputs and labels for a model.

    Args:
        path: A file or folder of one of the kinds in `data_files/readers/`.
        inputs: Name, shape without the batch axis and type of each input of the model (see `inputs_of`).
        limit: At most this many samples of each part, at even distances, so that files sorted by class give all
            classes; None reads all.
        flag: The flag that gave the path, for errors.
        part: "train" or "held_out" (the test part, or all without one) where only this part is used; of a folder, the
            other part is then not read.

    Returns:
        The arrays, in the shape of the inputs; pictures are uint8 0..255, sounds float32 -1..1.

    Raises:
        FileNotFoundError: If there is nothing at the path.
        ValueError: If it is of no known kind, is damaged, or does not fit the model.

    Example:
        >>> import numpy as np, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "data.npz")
        >>> np.savez(path, x=np.zeros((3, 2), "uint8"), y=[0, 1, 0])
        >>> read_data(path, [("features", (2,), "float32")]).y
        array([0, 1, 0])
    """
    source = Source(os.fspath(path), list(inputs), limit, flag, part)
    return replace(_reader(source).read(source), name=source.name)


def _reader(source: Source) -> Reader:
    readers = found_readers()
    if os.path.isdir(source.path):
        return _folder_reader(source, [reader for reader in readers if reader.in_folders])
    if not os.path.exists(source.path):
        raise FileNotFoundError(f"{source.named}: there is no such file or folder")
    for reader in readers:
        if reader.is_one(source.path):
            if reader.in_folders:
                raise ValueError(f"{source.named}: is a single file. Give {reader.what}.")
            return reader
    raise ValueError(f"{source.named}: is of no known kind. Accepted: {'; '.join(r.what for r in readers)}.")


def _folder_reader(source: Source, readers: list[Reader]) -> Reader:
    files = files_below(source.path)
    found = [reader for reader in readers if any(reader.is_one(file[-1]) for file in files)]
    if len(found) != 1:
        problem = "holds several kinds of data" if found else "holds no data files"
        kinds = "; ".join(f"{r.what} ({', '.join(sorted(r.suffixes))})" for r in found or readers)
        raise ValueError(f"{source.named}: the folder {problem}. {'Give one of' if found else 'Accepted'}: {kinds}.")
    return found[0]
