"""`tfcompress report`: compares files with the model they came from, as text and one HTML page."""

import os
from typing import Any

from absl import flags

from tfcompress.cli.command import Command, check_folder
from tfcompress.cli.data_flags import FORMS_DETAIL, check_classes, define_data, define_scaling, read_scaled
from tfcompress.cli.shown_files import command_line
from tfcompress.cli.start import start_tensorflow


def _define(values: flags.FlagValues) -> None:
    define_data(values, "data", "Data to evaluate on")
    define_scaling(values)
    flags.DEFINE_string("out", "report", "Folder for report.html, report.txt, compare.json.", flag_values=values)
    flags.DEFINE_boolean("latency", True, "Measures latency as well.", flag_values=values)
    flags.DEFINE_integer("threads", 1, "Threads of the interpreter.", 1, flag_values=values)
    flags.DEFINE_string("phone", "", "Benchmark report of the Android app, to show as well.", flag_values=values)
    flags.DEFINE_list("labels", [], "Names of the classes; default: class folders, or numbers.", flag_values=values)
    flags.DEFINE_string("title", "", "Title of the report.", flag_values=values)


def _run(values: flags.FlagValues, arguments: list[str]) -> int:
    check_folder("out", values.out)
    start_tensorflow(values.verbose)
    from tfcompress.android.phone_report import add_phone
    from tfcompress.benchmarking.named_artifacts import short_names
    from tfcompress.data_files.arrays import count_of
    from tfcompress.data_files.model_inputs import inputs_of
    from tfcompress.evaluate.compare import compare
    from tfcompress.export.loading import load_model
    from tfcompress.report.standard_sections import Contents
    from tfcompress.tflite.artifact import Artifact

    first, *others = arguments
    original = (Artifact.load if first.endswith(".tflite") else load_model)(first)
    artifacts = {name: Artifact.load(path) for name, path in zip(short_names(others), others, strict=True)}
    files = {"original": original, **artifacts} if isinstance(original, Artifact) else artifacts
    phone = _phone_report(values, files)
    data = read_scaled(values, inputs_of(original), part="held_out")
    check_classes(data, original, values)
    labels = _labels(values, original) or data.classes
    x, y = data.held_out()
    options = {"latency": values.latency, "threads": values.threads, "verbose": values.verbose}
    compared = compare(original, artifacts, x if y is None else (x, y), **options)
    name = list(artifacts)[-1]
    elsewhere = [] if phone is None else [lambda report: add_phone(report, phone, files, compared.bench)]
    contents = Contents(
        comparison=compared,
        highlight=name,
        labels=labels,
        artifact=artifacts[name],
        measured_elsewhere=elsewhere,
        command=command_line(values, "report", arguments),
        data=f"{data.name}, {count_of(x):,} samples",
    )
    _write(values, first, contents)
    if phone is not None:
        print(f"\nMeasured on a phone:\n{phone.text()}")
    print(f"\nWrote {os.path.join(values.out, 'report.html')}.")
    return 0


def _write(values: flags.FlagValues, first: str, contents: Any) -> None:
    from tfcompress.report.report import Report
    from tfcompress.report.standard_sections import add_standard_sections
    from tfcompress.system.atomic import write_files

    title = values.title or f"{os.path.basename(first.rstrip('/'))} and the files made of it"
    report = Report(title, contents.data)
    add_standard_sections(report, contents)
    report.save(values.out)
    write_files({os.path.join(values.out, "compare.json"): contents.comparison.json().encode()})
    print(contents.comparison.text())


def _phone_report(values: flags.FlagValues, files: dict[str, Any]) -> Any:
    """Returns the phone's report of `--phone`; a wrong one fails here, before minutes of measuring."""
    from tfcompress.android.phone_report import load_phone_report, measured_on_phone

    phone = load_phone_report(values.phone) if values.phone else None
    if phone is not None:
        measured_on_phone(phone, files)
    return phone


def _labels(values: flags.FlagValues, model: Any) -> list[str]:
    """Returns the names of `--labels`; refuses more or fewer than the model has classes."""
    from tfcompress.data_files.model_inputs import class_count

    count = class_count(model)
    if values.labels and count is not None and len(values.labels) != count:
        raise ValueError(
            f"--labels: the model answers with {count} classes, so {count} names are needed. Received: "
            f"{len(values.labels)}."
        )
    return values.labels


COMMAND = Command(
    name="report",
    summary="Compares .tflite files with the model they came from; writes text and a page. Also: compare.",
    arguments="ORIGINAL FILE [FILE ...]",
    least=2,
    most=None,
    detail="""
ORIGINAL is a Keras model (.keras, .h5, SavedModel) or a .tflite file; the page shows the contents of
the last FILE. Of data with a test part, that part is used; without labels, agreement with the original
takes the place of accuracy.

The page shows accuracy by class, confusions, wrong and changed samples; class folders give the names of the classes, or
--labels=cat,dog,... in the order of their numbers.

--phone is a report that the Android app shared (tfcompress.bench/1). Its times are shown beside those of this machine,
each under its own name; a report of another machine is refused.
"""
    + FORMS_DETAIL,
    examples=(
        "tfcompress report model.keras int8.tflite --data=mnist.npz --scale=1/255",
        "tfcompress report float.tflite int8.tflite --data=test.npz --out=docs --nolatency",
        "tfcompress report model.keras int8.tflite --data=photos/test --scale=1/255",
        "tfcompress report float32.tflite int8.tflite --data=mnist.npz --scale=1/255 --phone=phone.json",
    ),
    define=_define,
    run=_run,
    required=("data",),
    aliases=("compare",),
    place=5,
)
