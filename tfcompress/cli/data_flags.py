"""Flags for data, the same in every command: the file or folder, and how its values are scaled."""

import math
from typing import Any

from absl import flags

from tfcompress.cli.command import WrongUsage
from tfcompress.data_files.arrays import Arrays, Input
from tfcompress.data_files.reading import read_data
from tfcompress.text.log import tell
from tfcompress.text.printable import inline, shown

FORMS = ".npz, .npy, .csv, or a folder of pictures or WAV files, with class folders where labels are needed"
FORMS_DETAIL = """
Data are .npz (x and y; x_train, y_train, x_test, y_test; or arrays named as the inputs), .npy, .csv (a column for each
number of the input and one named label; NAME or NAME_0, NAME_1, ... for several inputs), or a folder: pictures, resized
to the input, 0..255, or WAV files, -1..1. FOLDER/CLASS/FILE gives labels in the order of the names,
FOLDER/train/CLASS/FILE and FOLDER/test/CLASS/FILE the parts of x_train and x_test.
"""


def define_data(values: flags.FlagValues, flag: str, what: str) -> None:
    """Defines the flag for a file or folder of data.

    Args:
        values: Flags to add it to.
        flag: Name of the flag, without dashes.
        what: What the data are for, for the help.
    """
    flags.DEFINE_string(flag, "", f"{what}: {FORMS}.", flag_values=values)


def define_scaling(values: flags.FlagValues, what: str = "the inputs") -> None:
    """Defines the flags `--scale` and `--offset`.

    Args:
        values: Flags to add them to.
        what: Name of the values they change, for the help.
    """
    flags.DEFINE_string("scale", "1", f"Factor on {what}, such as 1/255.", flag_values=values)
    flags.DEFINE_string("offset", "0", f"Added to {what} after --scale, such as -1.", flag_values=values)


def scaling_of(values: flags.FlagValues) -> tuple[float, float]:
    """Returns the numbers of `--scale` and `--offset`.

    Raises:
        WrongUsage: If one of them is no number or fraction.
    """
    return factor_of(values.scale), factor_of(values.offset, "--offset")


def read_scaled(
    values: flags.FlagValues, inputs: list[Input], limit: int | None = None, part: str | None = None
) -> Arrays:
    """Reads the data of `--data` and scales them by `--scale` and `--offset`.

    Args:
        values: The command's flags.
        inputs: Name, shape and type of each input of the model.
        limit: At most this many samples of each part, at even distances.
        part: "train" or "held_out" where only this part is used; None for both.

    Returns:
        The data; inputs as float32 where scaled.

    Raises:
        FileNotFoundError: If there is no such file or folder.
        ValueError: If it does not fit the model.
    """
    factors = scaling_of(values)  # before minutes of reading
    return read_flag(values, "data", inputs, limit, part).scaled(inputs, *factors)


def read_flag(
    values: flags.FlagValues, flag: str, inputs: list[Input], limit: int | None = None, part: str | None = None
) -> Arrays:
    """Reads the data of a flag as they are, and tells what labels and lengths became.

    Args:
        values: The command's flags.
        flag: Name of the flag, without dashes.
        inputs: Name, shape and type of each input of the model.
        limit: At most this many samples of each part, at even distances.
        part: "train" or "held_out" where only this part is used; None for both.

    Returns:
        The data.

    Raises:
        FileNotFoundError: If there is no such file or folder.
        ValueError: If it does not fit the model.
    """
    data = read_data(values[flag].value, inputs, limit, f"--{flag}", part)
    if data.classes is not None:
        shown_names = ", ".join(f"{number} {inline(name)}" for number, name in enumerate(data.classes[:20]))
        more = "" if len(data.classes) <= 20 else f", ... ({len(data.classes)} in all)"
        tell(f"{inline(data.name)}: classes {shown_names}{more}", values.verbose)
    for note in data.notes:
        tell(inline(note), values.verbose)
    return data


def check_classes(data: Arrays, model: Any, values: flags.FlagValues) -> None:
    """Compares the classes of folders or texts, if there are any, with those that a model answers with.

    Args:
        data: What `--data` holds.
        model: A Keras model or an `Artifact`.
        values: The command's flags. If there are fewer, it is told, since their numbers may be others than the model's.

    Raises:
        ValueError: If there are more.
    """
    from tfcompress.data_files.model_inputs import class_count

    count = class_count(model)
    if data.classes is None or count is None or len(data.classes) == count:
        return
    told = f"has {len(data.classes)} classes, and the model answers with {count}"
    if len(data.classes) > count:
        raise ValueError(f"--data={values.data}: {told}. Leave out those that it does not know.")
    last = "labels are right only if those that are missing are the last ones"
    tell(f"{inline(data.name)} {told}: {last}.", values.verbose)


def factor_of(scale: str, flag: str = "--scale") -> float:
    """Reads a factor from the text of a flag.

    Args:
        scale: A number or a fraction.
        flag: The flag it was given with, for the error.

    Returns:
        Its value.

    Raises:
        WrongUsage: If it is neither.

    Example:
        >>> factor_of("1/4")
        0.25
    """
    above, stroke, below = str(scale).partition("/")
    try:
        factor = float(above) / (float(below) if stroke else 1.0)
    except (ValueError, ZeroDivisionError):
        factor = math.nan
    if not math.isfinite(factor) or (factor == 0 and flag == "--scale"):
        raise WrongUsage(
            f"{flag} must be a number or a fraction such as 1/255, finite"
            f"{' and not 0' if flag == '--scale' else ''}. Received: {shown(scale)}"
        )
    return factor
