"""`tfcompress split`: splits a model into several `.tflite` files that together compute what it computes."""

from typing import Any

from absl import flags

from tfcompress.cli.command import Command, WrongUsage, define_seed
from tfcompress.cli.data_flags import FORMS_DETAIL, define_data, define_scaling, read_flag, scaling_of
from tfcompress.cli.start import start_tensorflow
from tfcompress.file_formats import MODES

HOWS = ("recursive", "modular", "hierarchical")
_PLAIN = ("at", "parts", "budget", "by", "levels", "first", "head", "threshold", "seed")


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("out", "", "Folder for the files and their index, chain.json.", flag_values=values)
    flags.DEFINE_enum("how", "recursive", HOWS, "How to choose the boundaries.", flag_values=values)
    flags.DEFINE_list("at", None, "modular, hierarchical: layers or nested models to cut at.", flag_values=values)
    flags.DEFINE_integer("parts", None, "recursive: number of parts; default 2.", 2, flag_values=values)
    flags.DEFINE_integer("budget", None, "recursive: most MACs or bytes of a part.", 1, flag_values=values)
    flags.DEFINE_enum("by", None, ("macs", "bytes"), "recursive: what to balance; default macs.", flag_values=values)
    flags.DEFINE_integer("levels", None, "hierarchical: number of early exits; default 1.", 1, flag_values=values)
    flags.DEFINE_float(
        "first", None, "hierarchical: wanted share of MACs in the first part; default 0.25.", 0.0, 1.0,
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_enum(
        "head", None, ("auto", "flatten", "average"), "hierarchical: kind of exits; default auto.", flag_values=values
    )
    flags.DEFINE_float(
        "threshold", None, "hierarchical: confidence to leave above; by default chosen by --agreement.", 0.0, 1.0,
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_float(
        "agreement", 0.99, "hierarchical: fraction of samples that must get the whole model's class.", 0.0, 1.0,
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_integer("epochs", 3, "hierarchical: epochs to fit the exits.", 1, flag_values=values)
    define_seed(values, "hierarchical: seed of the exits; default 0.", default=None)
    flags.DEFINE_enum("mode", "int8", MODES, "How numbers are stored.", flag_values=values)
    define_data(
        values,
        "calibration",
        "Representative inputs, needed by int8, int16x8 and by hierarchical, whose exits are trained on the model's "
        "own predictions for them",
    )
    define_scaling(values)
    flags.DEFINE_list(
        "allow_float", [], "LiteRT ops or layers that may stay float in an int8 file.", flag_values=values
    )


def _run(values: flags.FlagValues, arguments: list[str]) -> int:
    _check(values)
    start_tensorflow(values.verbose)
    from tfcompress.export.loading import load_model
    from tfcompress.techniques.split_model import split

    model = load_model(arguments[0])
    data = _read(model, values)
    options = {name: values[name].value for name in _PLAIN if values[name].value is not None}
    parts = split(model, values.how, **options)
    if values.how == "hierarchical":
        _fit(parts, model, data, values)
    chain = parts.convert(data, mode=values.mode, allow_float=values.allow_float)
    chain.save(values.out)
    print(parts.text())
    print(f"\n{chain.summary()}\nWrote {values.out}.")
    return 0


def _read(model: Any, values: flags.FlagValues) -> Any:
    """Returns the calibration inputs as the model takes them; all of them where exits are trained on them."""
    from tfcompress.calibration.samples import MOST_USED
    from tfcompress.data_files.model_inputs import inputs_of

    factors = scaling_of(values)
    if not values.calibration:
        return None
    inputs = inputs_of(model)
    limit = None if values.how == "hierarchical" else MOST_USED
    return read_flag(values, "calibration", inputs, limit, "train").scaled(inputs, *factors).x


def _check(values: flags.FlagValues) -> None:
    if values.how == "hierarchical" and not values.calibration:
        raise WrongUsage("--how=hierarchical needs --calibration: the exits are fitted on it.")
    foreign = [n for n in ("agreement", "epochs") if values[n].present and values.how != "hierarchical"]
    if foreign:
        raise WrongUsage(f"--{foreign[0]} is for --how=hierarchical. Received: --how={values.how}.")
    if values["agreement"].present and values.threshold is not None:
        raise WrongUsage("--threshold sets what --agreement chooses. Give one or the other.")


def _fit(parts: Any, model: Any, data: Any, values: flags.FlagValues) -> None:
    """Fits the exits to the model's own predictions; every fifth sample is held out to choose the threshold."""
    import keras
    import numpy as np

    from tfcompress.calibration.samples import samples
    from tfcompress.cli.epochs import Epochs
    from tfcompress.data_files.arrays import chosen, count_of
    from tfcompress.data_files.model_inputs import packed
    from tfcompress.graph.keras_private import input_triples
    from tfcompress.pipeline.routing import LOGITS, classes

    triples = input_triples(model)
    rows = samples(data, triples, limit=max(10, count_of(data)), minimum=10)
    arrays = {name: np.concatenate([row[name] for row in rows]) for name, _, _ in triples}
    held_out = np.arange(len(rows)) % 5 == 4

    def part(mask):
        return packed(model, chosen(arrays, mask))

    answers = np.asarray(model.predict(part(~held_out), verbose=0))
    targets = classes(answers, parts.kind)
    losses = keras.losses
    loss = losses.BinaryCrossentropy if answers.shape[1] == 1 else losses.SparseCategoricalCrossentropy
    exits = len(parts.threshold)
    keras.utils.set_random_seed(values.seed or 0)
    parts.exits.compile("adam", loss(from_logits=parts.kind == LOGITS))
    parts.exits.fit(
        part(~held_out),
        [targets] * exits if exits > 1 else targets,
        epochs=values.epochs,
        batch_size=32,
        callbacks=[Epochs("training the exits", values.verbose)],
        verbose=0,
    )
    if values.threshold is None:
        parts.choose_threshold(part(held_out), values.agreement)
    print(f"held out: {parts.run(part(held_out)).text()}")


COMMAND = Command(
    name="split",
    summary="Splits a model into several .tflite files that together compute what it computes.",
    arguments="MODEL",
    least=1,
    most=1,
    detail="""
MODEL is a .keras or .h5 file or a SavedModel folder. The folder gets part_1.tflite, part_2.tflite, ... and chain.json,
which says what each file takes and gives; tfc.ChainedArtifact.load(FOLDER) runs them.

recursive cuts the largest part in two where few bytes pass, until there are --parts parts or each is within --budget.
modular cuts behind the layers of --at, or around nested models. hierarchical puts an early exit behind a small first
part: it is trained on the model's own predictions for the calibration inputs, every fifth of which is held out to
choose the confidence above which a sample needs no further parts.
"""
    + FORMS_DETAIL,
    examples=(
        "tfcompress split model.keras --parts=3 --calibration=mnist.npz --scale=1/255 --out=parts",
        "tfcompress split model.keras --budget=500000 --mode=float16 --out=parts",
        "tfcompress split model.keras --how=modular --at=block2,block3 --calibration=x.npy --out=parts",
        "tfcompress split model.keras --how=hierarchical --calibration=x.npy --agreement=0.995 --out=parts",
    ),
    define=_define,
    run=_run,
    required=("out",),
    place=8,
)
