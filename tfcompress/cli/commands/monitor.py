"""`tfcompress monitor`: compares the use of a model on a phone with its training data, to detect drift."""

from absl import flags

from tfcompress.cli.command import Command, WrongUsage
from tfcompress.cli.data_flags import FORMS_DETAIL, define_data, define_scaling, read_scaled, scaling_of


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("reference", "", "manifest.json of the app, or its folder.", flag_values=values)
    define_data(values, "data", "Data to count a reference from, with --model")
    flags.DEFINE_list("model", [], "The .tflite files that the app ran.", flag_values=values)
    define_scaling(values, "the inputs of --data")
    flags.DEFINE_string("svg", "", "File for a picture of the histograms.", flag_values=values)


def _run(values: flags.FlagValues, arguments: list[str]) -> int:
    from tfcompress.android.monitor.log import MonitorLog
    from tfcompress.android.monitor.monitor import monitor, references_of
    from tfcompress.android.monitor.picture import monitor_picture

    if bool(values.reference) == bool(values.data):
        raise WrongUsage("give --reference, or --data with --model.")
    if bool(values.model) != bool(values.data):
        raise WrongUsage("--data and --model belong together.")
    scaling_of(values)  # a wrong factor is refused before anything is read
    log = MonitorLog.load(arguments[0])
    references = references_of(values.reference) if values.reference else _counted(values, log)
    found = monitor(log, references)
    if values.svg:
        monitor_picture(found).save(values.svg)
    print(found.text())
    if values.svg:
        print(f"\nWrote {values.svg}.")
    return 0


def _counted(values: flags.FlagValues, log) -> dict:
    """Counts references on the data, by the names that the files have in the log."""
    from tfcompress.android.monitor.monitor import reference
    from tfcompress.android.phone_variant import semantic_of
    from tfcompress.data_files.model_inputs import inputs_of
    from tfcompress.tflite.artifact import Artifact

    artifacts = [Artifact.load(path) for path in values.model]
    names = {usage.sha256: [] for usage in log.usage()}
    for usage in log.usage():
        names[usage.sha256].append(usage.name)
    strangers = [path for path, artifact in zip(values.model, artifacts, strict=True) if artifact.sha256 not in names]
    if strangers:
        raise ValueError(f"{strangers[0]}: the log has no answers of this file (no SHA-256 is the same).")
    found, read = {}, {}
    for artifact in artifacts:
        inputs = tuple(inputs_of(artifact))
        if inputs not in read:
            read[inputs] = read_scaled(values, list(inputs), part="train")
        data = read[inputs]
        counted = reference(artifact, data.x, semantic_of(artifact), log.confidence_edges, data.name)
        found |= dict.fromkeys(names[artifact.sha256], counted)
    return found


COMMAND = Command(
    name="monitor",
    summary="Compares the log that the Android demo exported with the training data, to detect drift.",
    arguments="LOG",
    least=1,
    most=1,
    detail="""
LOG is a JSON file of schema tfcompress.monitor/1: counts by class, confidence and latency, by day, without any
input. The reference is in the app's manifest, or is counted on data with the same .tflite file. For each
histogram the stability index and the Jensen-Shannon distance are printed, with their thresholds, the index that
chance alone may reach, and a verdict.
"""
    + FORMS_DETAIL,
    examples=(
        "tfcompress monitor log.json --reference android_demo/app/src/main/assets/models --svg drift.svg",
        "tfcompress monitor log.json --data mnist.npz --scale 1/255 --model models/mnist/int8_ptq.tflite",
    ),
    define=_define,
    run=_run,
    place=11,
)
