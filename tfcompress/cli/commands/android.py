"""`tfcompress android`: measures and signs models for the Android demo."""

import os
import pathlib

from absl import flags

from tfcompress.cli.command import Command, WrongUsage, define_seed
from tfcompress.text.log import tell


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("models", "", "Folder with .tflite files; their names become identifiers.", flag_values=values)
    flags.DEFINE_string("out", "", "Folder of the assets; replaced as a whole.", flag_values=values)
    flags.DEFINE_string(
        "data", "", "MNIST (mnist.npz or a folder) to measure on; without it digits are drawn.", flag_values=values
    )
    flags.DEFINE_list("labels", [], "Names of the classes; default: 0,1,2, ...", flag_values=values)
    flags.DEFINE_string("reference", "", "Variant to compare with; default: the float32 one.", flag_values=values)
    flags.DEFINE_string("runtime", "", "Version of the app's runtime, such as 2.16.1.", flag_values=values)
    flags.DEFINE_string("key", "", "Private key (PEM) to sign with; default: a new key pair.", flag_values=values)
    flags.DEFINE_string("key_passphrase_file", "", "File with the passphrase of --key.", flag_values=values)
    flags.DEFINE_string("public_key", "", "File for the public key; default: in the project.", flag_values=values)
    flags.DEFINE_list("encrypt", [], "Variants to encrypt.", flag_values=values)
    flags.DEFINE_string("passphrase", "", "Passphrase for these; other users may see it.", flag_values=values)
    flags.DEFINE_string("passphrase_file", "", "File with the passphrase.", flag_values=values)
    flags.DEFINE_boolean("keep_plain", False, "Ships encrypted variants in plain as well.", flag_values=values)
    flags.DEFINE_integer("golden", 8, "Inputs whose outputs are stored for the self-test.", 1, flag_values=values)
    flags.DEFINE_integer("limit", 10_000, "Most images to measure on.", 1, flag_values=values)
    flags.DEFINE_boolean("latency", True, "Measures the time on this host.", flag_values=values)
    define_seed(values, "Seed of drawn digits.")


def _run(values: flags.FlagValues, arguments: list[str]) -> int:
    tell("reading the models ...", values.verbose)  # before imports that take a second
    from tfcompress.android.export import export_android
    from tfcompress.android.key_files import load_key

    if values.passphrase and values.passphrase_file:
        raise WrongUsage("--passphrase and --passphrase_file exclude each other.")
    if values.key_passphrase_file and not values.key:
        raise WrongUsage("--key_passphrase_file needs --key.")
    key = load_key(values.key, _line(values.key_passphrase_file)) if values.key else None
    export = export_android(
        values.models,
        values.out,
        _digits(values.data, values.seed),
        labels=values.labels or None,
        reference=values.reference,
        runtime=values.runtime,
        key=key,
        public_key=values.public_key or None,
        encrypt=values.encrypt,
        passphrase=values.passphrase or _line(values.passphrase_file),
        keep_plain=values.keep_plain,
        golden=values.golden,
        limit=values.limit,
        latency=values.latency,
        verbose=values.verbose,
    )
    print(export.text())
    return 0


def _digits(path: str, seed: int):
    from tfcompress.datasets.drawn import draw_digits
    from tfcompress.datasets.mnist import Digits, load_mnist

    if path:
        return load_mnist(path)
    return Digits(*draw_digits(seed=seed), source="drawn", name="drawn digits")


def _line(path: str) -> str:
    """Returns the first line of a file without its line break; "" without a file."""
    if not path:
        return ""
    lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
    if not lines or not lines[0]:
        raise ValueError(f"{os.fspath(path)}: the first line must be the passphrase, and is empty.")
    return lines[0]


COMMAND = Command(
    name="android",
    summary="Writes .tflite files with a signed manifest, golden outputs and samples for the Android demo.",
    arguments="",
    least=0,
    most=0,
    detail="""
Accuracy, agreement with the reference and time are measured here and written into the manifest, together with what
each file needs of the runtime. Files must have batch 1 and int8 or float32 inputs and outputs. Without --key a new
key pair signs the folder, and its public key replaces the one that is compiled into the app.

The folder is replaced as a whole at the end; if anything fails, the old one stays.
""",
    examples=(
        "tfcompress android --models models/mnist --out android_demo/app/src/main/assets/models --data mnist.npz",
        "tfcompress android --models models/mnist --out assets --public_key key.der --encrypt int8_qat "
        "--passphrase_file word.txt --keep_plain --runtime 2.16.1",
    ),
    define=_define,
    run=_run,
    required=("models", "out"),
    place=9,
)
