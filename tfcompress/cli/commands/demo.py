"""`tfcompress demo`: all steps on MNIST, from a float teacher to an integer file that agrees with the model."""

from absl import flags

from tfcompress.cli.command import Command, define_seed
from tfcompress.cli.start import start_tensorflow


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("data", "", "MNIST: mnist.npz, or a folder with it or its idx files.", flag_values=values)
    flags.DEFINE_string("out", "out", "Folder for the files and the report.", flag_values=values)
    flags.DEFINE_float(
        "effort", 1.0, "Factor on the length of all trainings; 0.1 for a quick look.", 1e-3,
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_string(
        "models", "", "Folder for the student in every format, with recipe and model card.", flag_values=values
    )
    define_seed(values, "Seed of everything random.")


def _run(values: flags.FlagValues, arguments: list[str]) -> int:
    start_tensorflow(values.verbose)
    from tfcompress.demo.main import demo

    result = demo(
        values.data or None,
        values.out,
        seed=values.seed,
        effort=values.effort,
        models=values.models or None,
        verbose=values.verbose,
    )
    print(result.text())
    return 0


COMMAND = Command(
    name="demo",
    summary="Runs all steps on MNIST: train, distil, prune, cluster, quantize, verify, report.",
    arguments="",
    least=0,
    most=0,
    detail="""
Trains a small convolutional teacher and a student, compresses the student with one callback,
converts it to an integer .tflite file, compares the file's answers with those of the trained model,
times it against the float files, and writes everything with a report (HTML and text) to --out.
About two minutes on two cores; the first result comes after half a minute.

MNIST comes from --data, from $TFCOMPRESS_DATA, from the Keras cache or by download. With none of
these the command says so and goes on with digits drawn by the package, which are not MNIST.
""",
    examples=(
        "tfcompress demo",
        "tfcompress demo --data=mnist.npz --out=out --seed=1",
        "tfcompress demo --models=models/mnist",
    ),
    define=_define,
    run=_run,
    place=1,
    words={"path": "data"},  # of load_mnist
)
