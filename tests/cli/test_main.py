"""`python -m tfcompress` and the console script are the same command, of the stated version."""

import importlib.metadata
import subprocess
import sys

import tfcompress


def run(*command):
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout


def test_module_and_console_script_are_the_same_command():
    script = "import sys; from tfcompress.cli import main; sys.exit(main())"
    for arguments in (["--help"], ["no-such-command"]):
        assert run("-m", "tfcompress", *arguments) == run("-c", script, *arguments)
    code, text = run("-m", "tfcompress", "--help")
    assert code == 0
    assert "demo" in text and "convert" in text


def test_installed_version_is_the_package_version():
    try:
        installed = importlib.metadata.version("tfcompress")
    except importlib.metadata.PackageNotFoundError:
        installed = run("setup.py", "--version")[1].strip().splitlines()[-1]
    assert installed == tfcompress.__version__
