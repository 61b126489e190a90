"""`tfcompress bench`: times `.tflite` files side by side, or prints reports made elsewhere."""

import pathlib

from absl import flags

from tfcompress.cli.command import Command, WrongUsage, define_seed
from tfcompress.cli.data_flags import FORMS_DETAIL, define_data, define_scaling, read_scaled, scaling_of


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_integer("threads", 1, "Threads of the interpreter.", 1, flag_values=values)
    flags.DEFINE_enum(
        "mode",
        "quick",
        ("quick", "standard", "thorough"),
        "How long: about 1, 10 or 60 seconds for each file.",
        flag_values=values,
    )
    flags.DEFINE_boolean("xnnpack", True, "Uses the XNNPACK delegate.", flag_values=values)
    flags.DEFINE_boolean("memory", True, "Measures peak memory as well.", flag_values=values)
    define_data(values, "data", "Real inputs, of which the first is timed; without it they are drawn")
    define_scaling(values)
    define_seed(values, "Seed of drawn inputs and of the order.")
    flags.DEFINE_string("json", "", "File for the report as JSON.", flag_values=values)
    flags.DEFINE_boolean("markdown", False, "Prints a Markdown table.", flag_values=values)


def _run(values: flags.FlagValues, arguments: list[str]) -> int:
    from tfcompress.benchmarking.bench_report import BenchReport, bench_table

    scaling_of(values)  # a wrong factor is refused, also where no data are read
    files = [name for name in arguments if not name.endswith(".json")]
    reports = [BenchReport.load(name) for name in arguments if name.endswith(".json")]
    if values.json and not files:
        raise WrongUsage("--json writes what is measured here, but no .tflite file is given")
    if files:
        measured = _measure(values, files)
        if values.json:
            measured.save(values.json)
        reports.insert(0, measured)
    if len(reports) == 1:
        print(reports[0].markdown() if values.markdown else reports[0].text())
    else:
        print(bench_table(reports, markdown=values.markdown))
    return 0


def _measure(values: flags.FlagValues, files: list[str]):
    from tfcompress.benchmarking.benchmark import MODES, benchmark

    missing = [name for name in files if not pathlib.Path(name).is_file()]
    if missing:
        raise FileNotFoundError(f"there is no file {missing[0]}")
    return benchmark(
        files,
        **MODES[values.mode],
        threads=values.threads,
        xnnpack=values.xnnpack,
        memory=values.memory,
        data=_first(values, files[0]) if values.data else None,
        seed=values.seed,
        verbose=values.verbose,
    )


def _first(values: flags.FlagValues, file: str):
    """Reads the first sample, in the form that the first file takes; a file that takes another one is refused."""
    from tfcompress.data_files.model_inputs import inputs_of
    from tfcompress.tflite.artifact import Artifact

    return read_scaled(values, inputs_of(Artifact.load(file)), limit=1, part="train").x


COMMAND = Command(
    name="bench",
    summary="Times .tflite files side by side, and prints reports made here or on a phone.",
    arguments="FILE [FILE ...]",
    least=1,
    most=None,
    detail="""
A FILE that ends in .json is a report written before (schema tfcompress.bench/1, by --json or by
the Android app): it is shown in the same table. The files are timed in turn, in blocks, so that
a machine that slows down slows all of them.
"""
    + FORMS_DETAIL,
    examples=(
        "tfcompress bench float.tflite int8.tflite --json=host.json",
        "tfcompress bench int8.tflite --threads=2 --mode=standard --data=mnist.npz --scale=1/255",
        "tfcompress bench float32.tflite int8.tflite --data=photos/ --scale=1/255",
        "tfcompress bench host.json phone.json --markdown",
    ),
    define=_define,
    run=_run,
    place=4,
)
