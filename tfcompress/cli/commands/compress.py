"""`tfcompress compress`: compresses a saved model with techniques in further training, and converts it."""

import os
import pathlib
from dataclasses import replace
from typing import Any

import numpy as np
from absl import flags

from tfcompress.cli.command import Command, WrongUsage, check_folder, define_seed
from tfcompress.cli.data_flags import FORMS_DETAIL, check_classes, define_data, define_scaling, read_scaled
from tfcompress.cli.shown_files import command_line
from tfcompress.cli.start import start_tensorflow
from tfcompress.cli.technique_flags import define_techniques, given_flags, given_techniques, make_technique
from tfcompress.data_files.arrays import Arrays, chosen, count_of

CALIBRATION = 256  # samples
_ONE_HOT = ("categoricalcrossentropy", "categoricalfocalcrossentropy")  # losses that take rows, not numbers
EVIDENCE = 2048  # samples at most for techniques that change the network's shape


def _define(values: flags.FlagValues) -> None:
    text = (
        ("recipe", "", "Recipe file (JSON), instead of the flags below."),
        ("loss", "auto", "Keras loss; auto keeps the model's own, or fits the labels."),
        ("out", "compressed", "Folder for the model, the .tflite file, recipe and report."),
    )
    define_data(values, "data", "Training data with labels")
    define_scaling(values)
    for name, default, help_text in text:
        flags.DEFINE_string(name, default, help_text, flag_values=values)
    flags.DEFINE_integer("epochs", 3, "Epochs to train.", 1, flag_values=values)
    flags.DEFINE_integer("batch", 128, "Samples in a batch.", 1, flag_values=values)
    flags.DEFINE_float(
        "learning_rate", None, "Learning rate; by default the model's own or 0.001.", 0.0,
        flag_values=values,
    )  # fmt: skip
    define_seed(values, "Seed of everything random.")
    define_techniques(values)


def _run(values: flags.FlagValues, arguments: list[str]) -> int:
    start_tensorflow(values.verbose)
    import keras

    from tfcompress.cli.epochs import Epochs
    from tfcompress.data_files.model_inputs import packed
    from tfcompress.export.loading import load_model

    _check_loss(values.loss)
    check_folder("out", values.out)
    recipe = _recipe(values)
    model = load_model(arguments[0])
    data = _read(values, model)
    keras.utils.set_random_seed(values.seed)
    _compile(model, data.y, values)
    original = keras.models.clone_model(model)
    original.set_weights(model.get_weights())
    trained, compression, callbacks = _compression(recipe, model, data, values)
    x_test, y_test = data.held_out()
    history = trained.fit(
        packed(trained, data.x),
        data.y,
        batch_size=values.batch,
        epochs=values.epochs,
        validation_data=(packed(trained, x_test), y_test) if data.x_test is not None else None,
        callbacks=[*callbacks, Epochs("training", values.verbose)],
        verbose=0,
    )
    return _write(values, arguments[0], original, recipe, compression, data, history.history)


def _check_loss(name: str) -> None:
    import keras

    try:
        keras.losses.get(None if name == "auto" else name)
    except ValueError as error:
        raise WrongUsage(f"--loss={name}: {error}. Give the name of a Keras loss, such as mse, or auto.") from error


def _compression(recipe, model, data: Arrays, values: flags.FlagValues):
    """Returns the model to train, the compression and its callbacks; a session if techniques change shapes."""
    import keras

    from tfcompress.calibration.image_folder import evenly
    from tfcompress.training.callback import Compression
    from tfcompress.training.session import compress

    options = {"seed": values.seed, "verbose": values.verbose}
    if not any(technique.shape_changing for technique in recipe):
        compression = Compression(recipe, **options)
        return model, compression, [compression]
    some = evenly(count_of(data.x), EVIDENCE)
    session = compress(model, recipe, chosen(data.x, some), labels=data.y[some], **options)
    optimizer = type(model.optimizer).from_config(model.optimizer.get_config())
    metrics = ["accuracy"] if np.asarray(data.y).dtype.kind in "iub" else []
    session.model.compile(optimizer, keras.losses.get(model.loss), metrics=metrics)
    return session.model, session, session.callbacks


def _read(values: flags.FlagValues, model: Any) -> Arrays:
    from tfcompress.data_files.class_folders import HOW
    from tfcompress.data_files.model_inputs import class_count, inputs_of

    data = read_scaled(values, inputs_of(model))
    for part, y in (("", data.y), (" of its test part", data.y_test if data.x_test is not None else data.y)):
        if y is None:
            raise ValueError(
                f"--data={values.data}: training needs the labels{part}: an array y (y_train, y_test) in a .npz file, "
                f"a column label in a .csv file, or class folders. {HOW}."
            )
    check_classes(data, model, values)
    count = class_count(model)
    if count is not None and data.y.ndim == 1 and data.y.dtype.kind in "iu" and data.y.max() >= count:
        raise ValueError(
            f"--data={values.data}: has labels up to {data.y.max()}, and the model answers with the classes 0 to "
            f"{count - 1}."
        )
    return replace(
        data, y=_as_loss_takes(data.y, count, model, values), y_test=_as_loss_takes(data.y_test, count, model, values)
    )


def _as_loss_takes(y: np.ndarray | None, count: int | None, model: Any, values: flags.FlagValues) -> np.ndarray | None:
    """Returns class numbers as one-hot rows where the loss needs them, since folders and tables hold numbers."""
    loss = values.loss if values.loss != "auto" or not model.compiled else model.loss
    name = getattr(loss, "name", None) or getattr(loss, "__name__", None) or str(loss)
    if (
        y is None
        or count is None
        or y.ndim != 1
        or y.dtype.kind not in "iu"
        or name.lower().replace("_", "") not in _ONE_HOT
    ):
        return y
    return np.eye(count, dtype=np.float32)[y]


def _recipe(values: flags.FlagValues):
    """Returns the recipe of the file, or of the flags; refuses both."""
    from tfcompress.techniques.recipe import Recipe

    given = given_flags(values)
    if values.recipe and given:
        raise WrongUsage(f"--recipe gives the whole recipe; leave out --{given[0].short_name or given[0].name}")
    recipe = Recipe.load(values.recipe) if values.recipe else Recipe(_techniques(values))
    if not recipe:
        raise WrongUsage("nothing to do: give --recipe or the flag of a technique, such as --prune=0.8")
    for technique in recipe:
        spec = getattr(technique, "spec", None)
        if spec is not None and spec.unstored:
            raise WrongUsage(
                f"--quantize: {spec.unstored} exist in simulation only, and this command writes a file; give int8 or "
                "int16x8"
            )
    for technique in recipe:  # teachers are loaded late; that there are any is checked before the data are read
        for path in getattr(technique, "teacher", ()):
            if not os.path.exists(path):
                raise FileNotFoundError(f"--distill: there is no {path}")
    return recipe


def _techniques(values: flags.FlagValues) -> list[Any]:
    wanted = given_techniques(values)
    if not any(flag.technique.name == "Quantize" for flag in given_flags(values)):
        wanted["Quantize"] = {}  # the result is an integer file
    return [make_technique(name, fields) for name, fields in wanted.items()]


def _compile(model: Any, y: np.ndarray, values: flags.FlagValues) -> None:
    """Compiles the model if it was not compiled or flags ask for another loss; else keeps its compilation."""
    import keras

    if model.compiled and values.loss == "auto":
        if values.learning_rate is not None:
            model.optimizer.learning_rate = values.learning_rate
        return
    rate = 1e-3 if values.learning_rate is None else values.learning_rate
    loss = values.loss if values.loss != "auto" else _fitting_loss(model, y)
    metrics = ["accuracy"] if np.asarray(y).dtype.kind in "iub" else []
    model.compile(keras.optimizers.Adam(rate), loss, metrics=metrics)


def _fitting_loss(model: Any, y: np.ndarray) -> Any:
    import keras

    from tfcompress.layer_table.lookup import SIGMOID, SOFTMAX, probabilities

    last = probabilities(model.layers[-1])
    if y.dtype.kind not in "iub":
        return "mse"
    if model.output_shape[-1] == 1:
        return keras.losses.BinaryCrossentropy(from_logits=last != SIGMOID)
    return keras.losses.SparseCategoricalCrossentropy(from_logits=last != SOFTMAX)


def _write(values, path, original, recipe, compression, data, history) -> int:
    from tfcompress.calibration.image_folder import evenly
    from tfcompress.evaluate.compare import compare
    from tfcompress.report.report import Report
    from tfcompress.report.standard_sections import Contents, Curves, add_standard_sections
    from tfcompress.system.atomic import whole_file

    name = pathlib.Path(path.rstrip("/")).stem
    folder = pathlib.Path(values.out)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.tflite"
    # At even distances: data are often sorted by class.
    some = chosen(data.x, evenly(count_of(data.x), CALIBRATION))
    with whole_file(folder / f"{name}.keras", ".keras") as temporary:  # first: training took longest
        compression.finish().save(temporary)
    artifact = compression.convert(os.fspath(file), calibration=some)
    compared = compare(original, {file.name: artifact}, data.held_out(), verbose=values.verbose)
    report = Report(f"{name}, compressed", f"{count_of(data.held_out()[0]):,} samples of {data.name}")
    lines = {key: line for key, line in history.items() if key in ("loss", "val_loss")}
    contents = Contents(
        comparison=compared,
        highlight=file.name,
        labels=data.classes,
        seed=values.seed,
        curves=[Curves("Loss", lines)],
        artifact=artifact,
        plan=compression.plan.text(),
        command=command_line(values, "compress", [path]),
        data=f"{data.name}, {count_of(data.held_out()[0]):,} samples",
    )
    add_standard_sections(report, contents)
    page, _ = report.save(folder)
    recipe.save(folder / "recipe.json")
    print(compared.text())
    print(f"\nWrote {file} ({artifact.size:,} bytes, {artifact.gzip_size:,} gzipped) and {page}.")
    print(artifact.verdict())
    return 0


COMMAND = Command(
    name="compress",
    summary="Trains a saved Keras model further with any of the techniques, and converts it.",
    arguments="MODEL",
    least=1,
    most=1,
    detail="""
MODEL is a .keras or .h5 file or a SavedModel folder. Training starts from its weights; the result
is a Keras model, an integer .tflite file that is compared with the trained model, and a report.

The flag of a technique puts it into the recipe and sets its first setting; every other setting has a flag as well, and
--NAME=none leaves a technique out. --quantize=int8 is there unless another one is given. Techniques that change the
network follow the order of the flags. A value is a number, a text, a list a,b,c, a schedule such as
"polynomial(0, 0.8, stop=0.7)", or JSON. A recipe file takes the place of all these flags.
"""
    + FORMS_DETAIL,
    examples=(
        "tfcompress compress model.keras --data=mnist.npz --scale=1/255 --prune=0.8 --cluster=16",
        "tfcompress compress model.keras --data=train.npz --recipe=recipe.json --epochs=5",
        "tfcompress compress model.keras --data=train.npz --prune_channels=0.5 --prune=0.5",
        "tfcompress compress model.keras --data=photos/ --scale=1/255 --prune=0.5",
        "tfcompress compress small.keras --data=train.npz --distill=big.keras --distill_temperature=4",
    ),
    define=_define,
    run=_run,
    required=("data",),
    place=2,
    older={
        "channels": "prune_channels",
        "round_to": "prune_channels_round_to",
        "teacher": "distill",
        "temperature": "distill_temperature",
    },
)
