"""The fast tier says something about every folder, and of a sampled rule it has some rows."""

import pathlib
import subprocess
import sys

import pytest

TESTS = pathlib.Path(__file__).resolve().parent
NOT_TESTS = {"bench", "fixtures", "__pycache__"}
SUITE = """
import pytest

@pytest.mark.sampled(3)
@pytest.mark.parametrize("row", range(7))
def test_rule(row):
    pass

@pytest.mark.sampled(3)
def test_without_rows():
    pass
"""


def collected(folder, *options):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *options, str(folder)],
        capture_output=True,
        text=True,
        cwd=TESTS.parent,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return [line for line in done.stdout.splitlines() if "::" in line]


@pytest.mark.slow  # it imports every test file
def test_every_folder_keeps_fast_tests():
    fast = {pathlib.Path(line.split("::")[0]).parts[1] for line in collected(TESTS, "-m", "not slow")}
    folders = {folder.name for folder in TESTS.iterdir() if folder.is_dir()} - NOT_TESTS
    assert folders - fast == set()


@pytest.mark.slow
def test_of_a_sampled_rule_every_third_row_is_fast(tmp_path):
    (tmp_path / "conftest.py").write_text((TESTS / "conftest.py").read_text(encoding="utf-8"))
    (tmp_path / "fixtures").symlink_to(TESTS / "fixtures")
    (tmp_path / "test_suite.py").write_text(SUITE)
    markers = ["-o", "markers=slow\nsampled", "--rootdir", str(tmp_path), "-c", "/dev/null"]
    every = collected(tmp_path, *markers)
    fast = collected(tmp_path, "-m", "not slow", *markers)
    assert len(every) == 8
    assert [line.split("::")[1] for line in fast] == [
        "test_rule[0]",
        "test_rule[3]",
        "test_rule[6]",
        "test_without_rows",
    ]
