"""`tfcompress convert`: converts a saved model to a `.tflite` file and checks that it is integer."""

import pathlib
from typing import Any

from absl import flags

from tfcompress.cli.command import Command, WrongUsage
from tfcompress.cli.data_flags import FORMS_DETAIL, define_data, define_scaling, read_flag, scaling_of
from tfcompress.cli.start import start_tensorflow
from tfcompress.file_formats import FORMATS, MODES

IO = tuple(dict.fromkeys(kind for row in FORMATS.values() for kind in row.io))


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("out", "", "File to write; by default MODEL with .tflite.", flag_values=values)
    flags.DEFINE_enum("mode", "int8", MODES, "How numbers are stored.", flag_values=values)
    _define_recurrent(values)
    flags.DEFINE_enum(
        "io",
        None,
        IO,
        "Type of inputs and outputs of an integer file; by default that of the mode.",
        flag_values=values,
    )
    define_data(values, "calibration", "Representative inputs, needed by int8 and int16x8")
    define_scaling(values, "the calibration inputs")
    flags.DEFINE_float(
        "percentile", None, "Per cent of an activation's values inside its range; outliers are cut off.", 50.0, 100.0,
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_list(
        "require",
        [],
        "What the file must keep, such as agreement=0.99,error=0.05, measured on the calibration samples.",
        flag_values=values,
    )
    flags.DEFINE_list(
        "allow_float",
        [],
        "LiteRT ops or layers that may stay float in an int8 file.",
        flag_values=values,
    )
    flags.DEFINE_list(
        "leave_float",
        [],
        "Layers to keep float, by name pattern or type; also name all layers that follow them.",
        flag_values=values,
    )


def _define_recurrent(values: flags.FlagValues) -> None:
    flags.DEFINE_enum(
        "recurrent",
        "auto",
        ("auto", "loop", "unrolled"),
        "What LSTM, GRU and SimpleRNN become in an int8 file: loops of one size for all lengths, or step after step.",
        flag_values=values,
    )


def _run(values: flags.FlagValues, arguments: list[str]) -> int:
    start_tensorflow(values.verbose)
    from tfcompress.conversion.convert import convert
    from tfcompress.export.loading import load_model

    path = arguments[0]
    out = values.out or str(pathlib.Path(path.rstrip("/")).with_suffix(".tflite"))
    model = load_model(path)
    calibration, scaling = _calibration(values, model)
    artifact = convert(
        model,
        mode=values.mode,
        calibration=calibration,
        **scaling,
        percentile=values.percentile,
        recurrent=values.recurrent,
        require=requirements(values.require) or None,
        io=values.io,
        allow_float=values.allow_float,
        leave_float=values.leave_float,
    )
    artifact.save(out)
    print(artifact.summary())
    print(f"\nWrote {out} ({artifact.size:,} bytes, {artifact.gzip_size:,} gzipped).")
    print(artifact.verdict())
    return 0


def requirements(given: list[str]) -> dict[str, float]:
    """Reads the texts of `--require`.

    Args:
        given: Texts such as "agreement=0.99".

    Returns:
        Limit by name.

    Raises:
        WrongUsage: If one of them has another form.

    Example:
        >>> requirements(["agreement=0.99", "error=0.05"])
        {'agreement': 0.99, 'error': 0.05}
    """
    found = {}
    for text in given:
        name, _, limit = text.partition("=")
        try:
            found[name.strip()] = float(limit)
        except ValueError:
            raise WrongUsage(f"--require takes NAME=NUMBER, such as agreement=0.99. Received: {text}") from None
    return found


def _calibration(values: flags.FlagValues, model: Any) -> tuple[Any, dict[str, Any]]:
    """Returns the calibration data for `tfc.convert`, and its scale and offset where they were given."""
    from tfcompress.calibration.samples import MOST_USED
    from tfcompress.data_files.model_inputs import inputs_of

    scale, offset = scaling_of(values)
    # Also a scale of 1, which means that the model was trained on raw pixels.
    scaling = {"scale": scale} if values["scale"].present else {}
    if not values.calibration:
        return None, scaling
    data = read_flag(values, "calibration", inputs_of(model), MOST_USED, "train")
    return data.x, scaling if offset == 0 else {**scaling, "offset": offset}


COMMAND = Command(
    name="convert",
    summary="Converts a saved Keras model to a .tflite file and checks that it is integer.",
    arguments="MODEL",
    least=1,
    most=1,
    detail="""
MODEL is a .keras or .h5 file or a SavedModel folder.

An int8 file in which an op would compute in float is not written: the command names each such op,
the layer it came from and the remedy, and ends with exit code 3. --allow_float names exceptions.
"""
    + FORMS_DETAIL,
    examples=(
        "tfcompress convert model.keras --calibration=mnist.npz --scale=1/255",
        "tfcompress convert model.h5 --mode=float16 --out=small.tflite",
        "tfcompress convert model.keras --calibration=photos/ --scale=1/255 --io=uint8",
    ),
    define=_define,
    run=_run,
    words={"path": "out"},  # of Artifact.save
    place=3,
)
