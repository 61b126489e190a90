"""What a reader of data files is, and what it is told."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tfcompress.data_files.arrays import Arrays, Input
from tfcompress.text.printable import printable


@dataclass(frozen=True)
class Source:
    """What to read and for which model.

    Attributes:
        path: The file or folder as the user gave it.
        inputs: Name, shape and type of each input of the model.
        limit: At most this many samples are read of each part, at even distances; None reads all.
        flag: The flag that gave the path, for errors.
        part: "train" or "held_out" where only this part is used, so that a folder's other files need not be decoded.
    """

    path: str
    inputs: Sequence[Input]
    limit: int | None = None
    flag: str = "--data"
    part: str | None = None

    @property
    def named(self) -> str:
        """The flag with its path, which errors begin with."""
        return f"{self.flag}={printable(self.path)}"

    @property
    def name(self) -> str:
        """The name of the file or folder, without its path."""
        return os.path.basename(os.path.abspath(self.path))

    def one_input(self, what: str) -> Input:
        """Returns the only input of the model.

        Args:
            what: What was found at the path, for the error.

        Raises:
            ValueError: If there are several.
        """
        if len(self.inputs) != 1:
            names = ", ".join(name for name, _, _ in self.inputs)
            raise ValueError(
                f"{self.named}: {what} serves a model with one input; this one has {names}. Give a .npz file with an "
                "array for each, or a .csv file with a column NAME or columns NAME_0, NAME_1, ... for each."
            )
        return self.inputs[0]


@dataclass(frozen=True)
class Reader:
    """One kind of data file.

    Attributes:
        what: What it is called in help and errors.
        suffixes: Endings of its files, in lower case.
        in_folders: Whether the path is a folder of such files, by class or not; else one file.
        read: Reads them.
    """

    what: str
    suffixes: frozenset[str]
    in_folders: bool
    read: Callable[[Source], Arrays]

    def is_one(self, path: str) -> bool:
        """Whether a file is of this kind, by its ending."""
        return os.path.splitext(path)[1].lower() in self.suffixes
