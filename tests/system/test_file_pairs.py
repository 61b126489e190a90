"""Readers find a file and facts that fit it, whatever a writer is doing or was killed at."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import warnings

import pytest

from tfcompress.system import file_pairs
from tfcompress.system.file_pairs import sidecar_path
from tfcompress.tflite.artifact import Artifact

MODELS = pathlib.Path(__file__).parents[2] / "models" / "mnist"
KILLED = """
import os, signal, sys
from tfcompress.tflite.artifact import Artifact
artifact, left, real = Artifact.load(sys.argv[1]), int(sys.argv[3]), os.replace
def then_die(*arguments):
    global left
    real(*arguments)
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
os.replace = then_die
artifact.save(sys.argv[2])
"""


@pytest.fixture
def two():
    """Two artifacts of different bytes, each with its name in the metadata."""
    content = (MODELS / "int8_qat.tflite").read_bytes()
    return {name: Artifact(content + tail, {"name": name}) for name, tail in (("a", b""), ("b", b"\0" * 16))}


def fits(path, two):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = Artifact.load(path)
    return found.content == two[found.metadata["name"]].content


def test_a_reader_never_pairs_wrongly(tmp_path, two):
    path, wrong, stop, reads = tmp_path / "m.tflite", [], threading.Event(), []
    two["a"].save(path)

    def read():
        while not stop.is_set():
            reads.append(1)
            if not fits(path, two):
                wrong.append(1)

    threads = [threading.Thread(target=read) for _ in range(2)]
    threads += [threading.Thread(target=lambda n=n: [two[n].save(path) for _ in range(60)]) for n in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads[2:]:
        thread.join()
    stop.set()
    for thread in threads[:2]:
        thread.join()
    assert not wrong and reads and fits(path, two)
    assert sorted(os.listdir(tmp_path)) == ["m.tflite", "m.tflite.json"]
    assert "previous" not in json.loads((tmp_path / "m.tflite.json").read_text())


def test_a_reader_between_two_writes_that_bring_the_old_content_back(tmp_path, two, monkeypatch):
    """The content is "a" before and after its sidecar is read, and the sidecar that of "b"."""
    path, read, writes = tmp_path / "m.tflite", file_pairs._read_if_any, iter("ba")
    two["a"].save(path)

    def between(each):
        monkeypatch.setattr(file_pairs, "_read_if_any", read)
        two[next(writes)].save(path)
        text = read(each)
        two[next(writes)].save(path)
        return text

    monkeypatch.setattr(file_pairs, "_read_if_any", between)
    assert fits(path, two)
    assert next(writes, None) is None


@pytest.mark.parametrize("moves", [1, 2, 3])
def test_a_kill_between_the_files_leaves_a_pair(tmp_path, two, moves):
    two["a"].save(tmp_path / "m.tflite")
    two["b"].save(tmp_path / "source.tflite")
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "source.tflite", tmp_path / "m.tflite", str(moves)])
    assert done.returncode == -signal.SIGKILL
    assert fits(tmp_path / "m.tflite", two)
    two["a"].save(tmp_path / "m.tflite")
    assert fits(tmp_path / "m.tflite", two)
    assert len(os.listdir(tmp_path)) == 4


def test_metadata_are_found_by_both_names_of_a_link(tmp_path, two):
    (tmp_path / "store").mkdir()
    real, link = tmp_path / "store" / "real.tflite", tmp_path / "m.tflite"
    link.symlink_to("store/real.tflite")
    two["a"].save(link)
    assert link.is_symlink() and fits(link, two) and fits(real, two)
    two["b"].save(real)
    assert fits(link, two) and fits(real, two)
    (tmp_path / "m.tflite.json").symlink_to("store/real.tflite.json")
    two["a"].save(link)
    assert fits(link, two) and fits(real, two) and (tmp_path / "m.tflite.json").is_symlink()


def test_a_device_gets_the_file_alone(tmp_path, two):
    two["a"].save("/dev/null")
    assert not os.path.exists("/dev/null.json")


def test_long_names_keep_their_metadata(tmp_path, two):
    for length in (243, 244, 248):
        path = tmp_path / ("y" * length + ".tflite")
        two["b"].save(path)
        assert fits(path, two)
    assert len(os.path.basename(sidecar_path(path)).encode()) <= 255


def test_facts_of_other_bytes_are_still_warned_of(tmp_path, two):
    two["a"].save(tmp_path / "m.tflite")
    (tmp_path / "m.tflite").write_bytes(two["b"].content)
    with pytest.warns(UserWarning, match="other bytes"):
        assert Artifact.load(tmp_path / "m.tflite").metadata == {}


def test_a_sidecar_that_is_no_file_is_no_sidecar(tmp_path, two):
    two["a"].save(tmp_path / "m.tflite")
    os.unlink(tmp_path / "m.tflite.json")
    os.mkfifo(tmp_path / "m.tflite.json")
    assert Artifact.load(tmp_path / "m.tflite").metadata == {}
