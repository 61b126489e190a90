"""`tfcompress android` writes a folder that can be verified, and its refusals write nothing."""

import json
import pathlib

import pytest

from tfcompress.android.manifest import read_manifest
from tfcompress.cli import main
from tfcompress.cli.entry import DONE, FAILED, USAGE

MODELS = pathlib.Path(__file__).parents[2] / "models" / "mnist"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fixed = [f"--models={MODELS}", "--out=out", "--public_key=key.der", "--nolatency", "--limit=40", "--golden=1"]

    def run(*arguments):
        return main(["tfcompress", "android", *fixed, "--verbose=0", *arguments])

    return run


def test_models_are_exported_and_signed(run, capsys):
    pathlib.Path("word.txt").write_text("open sesame\n")
    options = ["--encrypt=int8_qat,int8_ptq", "--passphrase_file=word.txt", "--keep_plain", "--runtime=2.16.1"]
    assert run(*options) == DONE
    printed = capsys.readouterr()
    assert "shown there with the reason and not run: dynamic" in printed.out and "drawn digits" in printed.out
    manifest = read_manifest("out", "key.der")
    assert manifest.model("int8_qat_encrypted", "open sesame") == (MODELS / "int8_qat.tflite").read_bytes()
    assert len(manifest.names) == 8 and manifest.document["task"]["dataset"] == "drawn digits"


def test_a_given_key_signs(run, capsys):
    assert main(["tfcompress", "keys", "new", "--out=keys"]) == DONE
    assert run("--key=keys/private_key.pem") == DONE
    assert "Signed with the given key" in capsys.readouterr().out
    assert pathlib.Path("key.der").read_bytes() == pathlib.Path("keys/public_key.der").read_bytes()
    read_manifest("out", "keys/public_key.der")


def test_labels_and_reference(run):
    labels = "zero,one,two,three,four,five,six,seven,eight,nine"
    assert run(f"--labels={labels}", "--reference=int8_qat", "--seed=1") == DONE
    document = json.loads(pathlib.Path("out/manifest.json").read_text())
    assert document["task"]["labels"] == labels.split(",") and document["reference"] == "int8_qat"


@pytest.mark.parametrize(
    "options, message, code",
    [
        (["--encrypt=int8_qat"], "--passphrase: is needed", USAGE),
        (["--passphrase=a", "--passphrase_file=b"], "exclude each other", USAGE),
        (["--key_passphrase_file=a"], "needs --key", USAGE),
        (["--key=none.pem"], "none.pem", FAILED),
        (["--data=none.npz"], "none.npz", FAILED),
        (
            ["--passphrase_file=empty.txt", "--encrypt=int8_qat"],
            "empty.txt: the first line must be the passphrase",
            FAILED,
        ),
    ],
)
def test_refusals(run, capsys, options, message, code):
    pathlib.Path("empty.txt").write_text("\n")
    assert run(*options) == code
    assert message in capsys.readouterr().err
    assert not pathlib.Path("out").exists() and not pathlib.Path("key.der").exists()


def test_models_and_out_must_be_given(capsys):
    assert main(["tfcompress", "android", "--out=x"]) == USAGE
    assert "--models must be given" in capsys.readouterr().err
