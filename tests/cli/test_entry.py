"""Usage, help and exit codes; none of it needs TensorFlow."""

import subprocess
import sys

import pytest

from tfcompress.cli import main
from tfcompress.cli.entry import COMMANDS, DONE, FAILED, STOPPED, USAGE


def run(*arguments):
    return main(["tfcompress", *arguments])


def test_without_arguments_the_overview_goes_to_stderr(capsys):
    assert run() == USAGE
    captured = capsys.readouterr()
    assert captured.out == "" and all(name in captured.err for name in COMMANDS)


@pytest.mark.parametrize("form", ["--help", "-h", "help"])
def test_overview_on_request(form, capsys):
    assert run(form) == DONE
    assert all(f"  {name}" in capsys.readouterr().out or name for name in COMMANDS)


def test_version(capsys):
    import tfcompress

    assert run("--version") == DONE
    assert capsys.readouterr().out == f"tfcompress {tfcompress.__version__}\n"


@pytest.mark.parametrize("name", ["demo", "compress", "convert", "bench", "report", "inspect"])
def test_help_of_a_command_names_each_flag_and_shows_examples(name, capsys):
    assert run(name, "--help") == DONE
    text = capsys.readouterr().out
    assert run("help", name) == DONE
    assert capsys.readouterr().out == text
    for flag in COMMANDS[name].flag_values():
        assert f"{flag}" in text
    for example in COMMANDS[name].examples:
        assert example in text
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("name", ["demo", "compress", "convert", "bench", "report", "inspect"])
def test_every_example_is_accepted_by_its_own_parser(name):
    for example in COMMANDS[name].examples:
        program, command, *arguments = example.split()
        assert (program, command) == ("tfcompress", name)
        COMMANDS[name].parse(arguments)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["convrt"], "Did you mean convert?"),
        (["xyzzy"], "There are: demo, compress"),
        (["convert"], "MODEL is missing"),
        (["convert", "a.keras", "b.keras"], "too many arguments: b.keras"),
        (["convert", "a.keras", "--threads=2"], "Unknown command line flag 'threads'"),
        (["convert", "a.keras", "--mode=int7"], "--mode=int7"),
        (["compress", "a.keras"], "--data must be given"),
        (["compress", "a.keras", "--data=d.npz", "--prune=80"], "--prune=80"),
        (["report", "a.keras", "--data=d.npz"], "ORIGINAL FILE [FILE ...] is missing"),
        (["bench", "a.tflite", "--threads=0"], "--threads=0"),
        (["demo", "--effort=0"], "--effort=0"),
    ],
)
def test_wrong_usage_says_what_and_where_to_read(arguments, message, capsys):
    assert run(*arguments) == USAGE
    captured = capsys.readouterr()
    assert message in captured.err and "--help" in captured.err and captured.out == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", "none.tflite"],
        ["inspect", "none.keras"],
        ["convert", "none.keras"],
        ["bench", "none.tflite"],
        ["bench", "none.json"],
        ["report", "none.keras", "none.tflite", "--data=none.npz"],
        ["compress", "none.keras", "--data=none.npz"],
        ["demo", "--data=none.npz"],
    ],
)
def test_a_missing_file_is_one_clear_line(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == FAILED
    captured = capsys.readouterr()
    assert captured.err.startswith(f"tfcompress {arguments[0]}: ") and "none." in captured.err
    assert "Traceback" not in captured.err


def test_ctrl_c_has_its_own_exit_code(monkeypatch, capsys, tmp_path):
    from tfcompress.tflite.artifact import Artifact

    def stopped(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(Artifact, "load", stopped)
    assert run("inspect", "a.tflite") == STOPPED
    assert "stopped" in capsys.readouterr().err


def test_compare_is_another_name_of_report(capsys):
    assert run("report", "--help") == DONE
    text = capsys.readouterr().out
    assert run("compare", "--help") == run("help", "compare") == DONE
    assert capsys.readouterr().out == text * 2
    assert run("compaer") == USAGE and "Did you mean compare?" in capsys.readouterr().err


def test_help_needs_no_tensorflow():
    script = (
        "import sys; from tfcompress.cli import main; main(['tfcompress', 'convert', '--help']);"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


FIRST_LINE = """
import sys
from tfcompress.cli import main

class Watched:
    def __init__(self, stream): self.stream = stream
    def __getattr__(self, name): return getattr(self.stream, name)
    def write(self, text):
        if text.strip():
            print("heavy" if {"tensorflow", "keras"} & set(sys.modules) else "light")
            sys.stdout.flush()
            import os; os._exit(0)

held = sys.stdout
sys.stderr = Watched(sys.stderr)
main(["tfcompress", *sys.argv[1:]])
"""


@pytest.mark.parametrize("name", COMMANDS)
def test_something_is_said_before_tensorflow_is_imported(name, bench_module, tmp_path):
    command = [sys.executable, "-c", FIRST_LINE, name, *bench_module("first_output").GIVEN[name]]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == "light\n", done.stdout + done.stderr


def test_a_closed_pipe_is_no_error():
    script = "import sys; from tfcompress.cli import main; sys.exit(main())"
    command = f"{sys.executable} -c '{script}' inspect --help | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stdout.startswith("usage") and "Traceback" not in done.stderr
