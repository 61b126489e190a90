"""Whatever goes wrong ends in one line, and no file speaks to the terminal."""

import io
import json
import os
import pathlib
import subprocess
import sys
import warnings
import zipfile

import numpy as np
import pytest

from tfcompress.cli import main
from tfcompress.cli.entry import DONE, FAILED, STOPPED, USAGE
from tfcompress.system import array_files
from tfcompress.tflite.artifact import Artifact

MODEL = pathlib.Path(__file__).parents[2] / "models" / "mnist" / "int8_qat.tflite"


def run(*arguments):
    return main(["tfcompress", *map(str, arguments)])


def cli(*arguments, **options):
    command = [sys.executable, "-m", "tfcompress", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, **options)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "not enough memory"),
        (MemoryError("Unable to allocate 16 TiB"), "16 TiB"),
        (OverflowError("too large"), "OverflowError: too large"),
        (RecursionError("maximum depth"), "nested too deep"),
        (AttributeError("'list' object has no attribute 'get'"), "AttributeError: "),
        (IndexError(), "IndexError"),
        (KeyError("x"), "KeyError: 'x'"),
        (AssertionError(), "AssertionError"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "can't decode byte"),
        (PermissionError(13, "Permission denied", "a"), "a: Permission denied"),
        (ValueError("two\n  lines\x1b[31m"), "two lines\\u001b[31m"),
        (Exception("a" * 10**6), "..."),
    ],
)
def test_every_error_is_one_line(error, said, monkeypatch, capsys):
    def fail(path):
        raise error

    monkeypatch.setattr(Artifact, "load", fail)
    assert run("inspect", "a.tflite") == FAILED
    text = capsys.readouterr().err
    assert text.startswith("tfcompress inspect: ") and said in text
    assert text.count("\n") == 1 and len(text) < 3000 and "\x1b" not in text


def test_an_error_shows_where_it_arose_if_wanted(monkeypatch, capsys):
    monkeypatch.setenv("TFCOMPRESS_TRACEBACK", "1")
    assert run("inspect", "none.tflite") == FAILED
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_before_the_command_runs(monkeypatch, capsys):
    from tfcompress.cli import entry

    def stopped(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(entry, "_dispatch", stopped)
    assert run("inspect", "a.tflite") == STOPPED
    assert "stopped" in capsys.readouterr().err


def test_names_in_files_do_not_reach_the_terminal(tmp_path, capsys):
    red = "\x1b[31mred\x1b]0;title\x07\x9b2J\u202e\x7f"
    layers = {str(k): red for k in range(4)}
    Artifact(MODEL.read_bytes(), {"mode": red, "layers": layers}).save(tmp_path / "m.tflite")
    assert run("inspect", tmp_path / "m.tflite") == DONE
    text = capsys.readouterr().out
    assert "\\u001b[31mred" in text and not any(c in text for c in "\x1b\x07\x9b\u202e\x7f")
    assert run("inspect", "--json", tmp_path / "m.tflite") == DONE
    text = capsys.readouterr().out
    assert not any(c in text for c in "\x1b\x07\x9b\u202e\x7f")
    assert json.loads(text)["metadata"]["mode"] == red  # escaped, not changed


def test_names_of_files_do_not_reach_the_terminal(tmp_path, capsys):
    assert run("inspect", tmp_path / "a\x1b[31m.tflite") == FAILED
    assert "\x1b" not in capsys.readouterr().err
    assert run("in\x1b[31m") == 2
    assert "\x1b" not in capsys.readouterr().err


def test_warnings_are_one_line_without_escapes(tmp_path):
    path = tmp_path / "m\x1b[31m.tflite"
    path.write_bytes(MODEL.read_bytes())
    pathlib.Path(f"{path}.json").write_text("{")
    done = cli("inspect", path)
    assert done.returncode == DONE
    lines = [line for line in done.stderr.splitlines() if "warning" in line]
    assert len(lines) == 1 and lines[0].startswith("tfcompress: warning: ") and "\x1b" not in done.stderr


def test_a_full_disk_behind_standard_output_is_one_line():
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "tfcompress", "--help"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == FAILED
    assert done.stderr.count("\n") == 1 and "No space left" in done.stderr


@pytest.mark.parametrize("closed", ["1", "2"])
def test_closed_streams_are_no_error(closed):
    done = subprocess.run(["bash", "-c", f"{sys.executable} -m tfcompress --version {closed}>&-"], capture_output=True)
    assert done.returncode == DONE and b"Traceback" not in done.stderr


def test_a_stream_without_the_letters_gets_escapes(tmp_path):
    Artifact(MODEL.read_bytes(), {"mode": "值"}).save(tmp_path / "m.tflite")
    done = cli("inspect", tmp_path / "m.tflite", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == DONE and "\\u503c" in done.stdout


def claims(shape, dtype="<f4"):
    held = io.BytesIO()
    np.lib.format.write_array_header_1_0(held, {"descr": dtype, "fortran_order": False, "shape": shape})
    return held.getvalue()


def zipped(content):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", content)
    return held.getvalue()


CLAIMS = {
    "terabytes": claims((10**12, 4)),
    "overflow": claims((2**62, 2**62)),
    "negative": claims((-1, 4)) + bytes(64),
    "objects": claims((4,), "|O") + bytes(64),
    "cut": claims((4, 4))[:100],
    "no header": b"\x93NUMPY\x01\x00\x10\x00" + b"(" * 16,
    "unknown version": b"\x93NUMPY\x09\x00" + bytes(20),
    "terabytes, zipped": zipped(claims((10**12, 4))),
    "a text, zipped": zipped(b"hello"),
    "a cut zip": zipped(claims((4,)) + bytes(16))[:60],
    "text": b"hello",
    "empty": b"",
}


@pytest.mark.parametrize("name", CLAIMS)  # a zip holds the time, which the name of a test may not
def test_data_that_claim_what_they_do_not_hold_are_one_line(tmp_path, capsys, name):
    path = tmp_path / ("x.npz" if "zip" in name else "x.npy")
    path.write_bytes(CLAIMS[name])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run("bench", MODEL, "--nomemory", "--verbose=0", f"--data={path}") == FAILED
    text = capsys.readouterr().err
    assert text.count("\n") == 1 and str(path) in text


def test_a_small_zip_of_far_more_than_it_holds_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(array_files, "FREE_BYTES", 1000)
    np.savez_compressed(tmp_path / "x.npz", x=np.zeros((1000, 1000)))
    assert run("bench", MODEL, "--nomemory", "--verbose=0", f"--data={tmp_path / 'x.npz'}") == FAILED
    assert "unpacks to 8,000,128 bytes" in capsys.readouterr().err


@pytest.mark.parametrize("scale", ["1e999", "1e999999999", "nan", "inf", "1/1e-320", "0", "0/5", "1/2/3", "9" * 5000])
def test_factors_out_of_range_are_one_line(scale, capsys):
    assert run("bench", MODEL, "--nomemory", "--verbose=0", f"--data={MODEL}", f"--scale={scale}") == USAGE
    text = capsys.readouterr().err
    assert text.count("\n") == 1 and "--scale must be a number" in text
