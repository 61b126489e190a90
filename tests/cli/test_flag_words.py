"""A wrong value of any flag of any command is one line that names the flag, with a way out, and exit code 2."""

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.cli import main
from tfcompress.cli.entry import COMMANDS, DONE, FAILED, USAGE
from tfcompress.cli.flag_words import in_flags

pytestmark = pytest.mark.sampled(4)

ON = {
    "android": ["--models=models", "--out=assets", "--public_key=key.der", "--nolatency", "--reference=int8"],
    "bench": ["int8.tflite", "--nomemory"],
    "compress": ["model.keras", "--data=data.npz"],
    "convert": ["model.keras", "--calibration=data.npz", "--scale=1/255"],
    "demo": ["--out=out"],
    "inspect": ["int8.tflite"],
    "keys": ["new", "--out=keys"],
    "monitor": ["log.json"],
    "report": ["model.keras", "int8.tflite", "--data=data.npz", "--nolatency"],
    "slim": ["int8.tflite", "--out=slim.tflite"],
    "split": ["model.keras", "--out=parts", "--calibration=data.npz", "--scale=1/255"],
}
HIERARCHY = "--how=hierarchical"
WRONG = {
    "android": [
        "--golden=0", "--limit=x", "--seed=-1", "--encrypt=foo", "--reference=foo",
        "--key_passphrase_file=f", "--passphrase=a --passphrase_file=f", "--runtime=foo",
    ],
    "bench": ["--threads=0", "--threads=9999", "--mode=foo", "--seed=-1", "--scale=x", "--offset=1/0"],
    "compress": [
        "--loss=foo", "--epochs=0", "--batch=x", "--learning_rate=-1", "--seed=99999999999", "--scale=0", "--offset=x",
        "--recipe=r.json --prune=0.5",
    ],
    "convert": [
        "--mode=foo", "--io=foo", "--io=uint8 --mode=float16", "--percentile=20", "--require=foo=1", "--require=x",
        "--require=error=-1", "--allow_float=FOO", "--leave_float=foo", "--scale=x", "--offset=nan",
        "--calibration= --mode=int8", "--recurrent=foo",
    ],
    "demo": ["--effort=0", "--effort=1e300", "--seed=-1"],
    "inspect": ["--verbose=7"],
    "keys": ["--verbose=7"],
    "monitor": [
        "--reference=m --data=data.npz", "--data=data.npz", "--scale=x --reference=m", "--offset=x --reference=m",
    ],
    "report": ["--threads=9999", "--scale=x", "--offset=x"],
    "slim": ["--names=foo", "--metadata=foo", "--proof=-1", "--proof=99999999", "--seed=-1", "--out="],
    "split": [
        "--how=foo", "--how=modular --at=foo", "--at=foo", "--parts=1", "--parts=50", "--budget=1", "--by=foo",
        "--mode=foo",
        f"{HIERARCHY} --levels=0", f"{HIERARCHY} --first=2", f"{HIERARCHY} --head=foo", f"{HIERARCHY} --threshold=2",
        f"{HIERARCHY} --agreement=2", f"{HIERARCHY} --epochs=0", "--seed=-1", "--allow_float=FOO", "--scale=x",
        "--offset=x", f"--calibration= {HIERARCHY}",
    ],
}  # fmt: skip
ROWS = [(command, wrong) for command, rows in WRONG.items() for wrong in rows]
# Flags of which every text is right, or what it names may be there or not: then the work fails, exit code 1.
FILES = {
    "models",
    "data",
    "key",
    "public_key",
    "calibration",
    "recipe",
    "phone",
    "svg",
    "json",
    "out",
    "passphrase_file",
}
TEXTS = {"title", "labels", "passphrase", "model", "reference"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("files")
    layers = [keras.layers.Flatten(), keras.layers.Dense(4, "relu", name="a"), keras.layers.Dense(10, name="head")]
    model = keras.Sequential([keras.Input((28, 28, 1)), *layers])
    model.save(where / "model.keras")
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (64, 28, 28), np.uint8), rng.integers(0, 10, 64)
    np.savez(where / "data.npz", x_train=x[:48], y_train=y[:48], x_test=x[48:], y_test=y[48:])
    artifact = tfc.convert(model, calibration=x[:32, ..., None] / 255)
    artifact.save(where / "int8.tflite")
    (where / "models").mkdir()
    artifact.save(where / "models" / "int8.tflite")
    (where / "log.json").write_text("{}")
    (where / "f").write_text("word\n")
    return where


def run(*arguments):
    return main(["tfcompress", *arguments])


@pytest.mark.parametrize("command, wrong", ROWS, ids=[" ".join(row) for row in ROWS])
def test_a_wrong_value_names_the_flag(command, wrong, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    given = wrong.split()
    assert run(command, *ON[command], *given, *([] if "verbose" in wrong else ["--verbose=0"])) == USAGE
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1 and "Traceback" not in captured.err
    assert captured.err.startswith(f"tfcompress {command}: ") and f"See: tfcompress {command} --help" in captured.err
    assert any(flag.split("=")[0] in captured.err for flag in given)
    assert "=x[" not in captured.err and f"{command}: {command}:" not in captured.err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_of_every_command_is_tried(command):
    values = COMMANDS[command].flag_values()
    takes_value = {values[name].name for name in values if not values[name].boolean} - {"verbose"}
    techniques = {flag for flag in takes_value if hasattr(values[flag], "technique")}  # in test_technique_flags.py
    tried = {flag.partition("=")[0].removeprefix("--") for row in WRONG[command] for flag in row.split()}
    assert takes_value - techniques - tried - FILES - TEXTS == set()


@pytest.mark.parametrize(
    "command, missing, code",
    [
        ("convert", "--calibration=none.npz", FAILED),
        ("report", "--data=none.npz", FAILED),
        ("demo", "--data=none", FAILED),
    ],
)
def test_what_is_not_there_names_the_flag_too(command, missing, code, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert run(command, *ON[command], missing, "--verbose=0") == code
    assert missing.partition("=")[0] in capsys.readouterr().err


def said(text, command="convert", *arguments):
    values = COMMANDS[command].parse(["m.keras", *arguments])[0]
    return in_flags(text, COMMANDS[command], values)


def test_arguments_become_flags_and_code_stays():
    assert said("convert: mode 'int8' needs data. Pass calibration=x[:200], or tfc.convert(m, calibration=x).") == (
        "--mode=int8 needs data. Pass --calibration=FILE, or tfc.convert(m, calibration=x).",
        True,
    )
    assert said("convert: require takes require={'error': 0.5}.")[0] == "--require takes --require=error=0.5."
    assert said("The runtime is gone: no mode at all.") == ("The runtime is gone: no mode at all.", False)


def test_fields_of_techniques_become_their_flags():
    text = "Prune: scope must be one of ('layer', 'global'). Received: scope='foo'. Leave out `where`."
    assert said(text, "compress", "--data=d")[0] == (
        "--prune_scope must be one of ('layer', 'global'). Received: --prune_scope=foo. Leave out --prune_where."
    )


def test_dashes_and_older_names_are_taken(folder, monkeypatch):
    values = COMMANDS["compress"].parse(["m", "--data=d", "--round-to=4", "--teacher=t", "--learning-rate=0.5"])[0]
    assert (
        values["prune_channels_round_to"].value == 4 and values["distill"].value == "t" and values.learning_rate == 0.5
    )
    assert COMMANDS["bench"].parse(["a", "--noxnnpack", "--data", "--not-a-flag"])[0].data == "--not-a-flag"
    assert run("help", "compress") == DONE
