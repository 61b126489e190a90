"""One writer at a time; what killed writers left goes, what living ones write stays."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from tfcompress.system import folder_lock
from tfcompress.system.atomic import write_files
from tfcompress.system.folder_lock import locked_folder, temporary_file, temporary_folder

WRITER = """
import sys, time
from tfcompress.system.folder_lock import temporary_file, temporary_folder
made = [temporary_file(sys.argv[1]), temporary_folder(sys.argv[1])]
print(flush=True)
time.sleep(60)
"""


@pytest.fixture
def writer(tmp_path):
    """A process in the middle of writing a file and a folder."""
    with subprocess.Popen([sys.executable, "-c", WRITER, tmp_path], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield process
        process.kill()


def left(folder):
    return [name for name in os.listdir(folder) if name.startswith(folder_lock.PREFIX)]


def test_leftovers_of_a_killed_writer_go_with_the_next_one(tmp_path, writer):
    assert len(left(tmp_path)) == 2
    write_files({tmp_path / "a.bin": b"x"})
    assert len(left(tmp_path)) == 2  # the writer lives
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    write_files({tmp_path / "b.bin": b"x"})
    assert sorted(os.listdir(tmp_path)) == ["a.bin", "b.bin"]


def test_what_looks_like_a_leftover_and_is_none_stays(tmp_path):
    fifo = tmp_path / f"{folder_lock.PREFIX}1{folder_lock.MARK}"
    os.mkfifo(fifo)
    link = tmp_path / f"{folder_lock.PREFIX}2{folder_lock.MARK}"
    (tmp_path / "mine").write_bytes(b"x")
    link.symlink_to("mine")
    write_files({tmp_path / "a.bin": b"x"})
    assert fifo.exists() and link.is_symlink() and (tmp_path / "mine").read_bytes() == b"x"


def test_writers_wait_for_each_other(tmp_path):
    order = []

    def other():
        with locked_folder(tmp_path):
            order.append("second")

    with locked_folder(tmp_path), locked_folder(tmp_path):  # a thread that has it gets it again
        thread = threading.Thread(target=other)
        thread.start()
        time.sleep(0.1)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_stuck_neighbour_is_not_waited_for_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_lock, "PATIENCE_SECONDS", 0.05)
    with locked_folder(tmp_path):
        thread = threading.Thread(target=write_files, args=({tmp_path / "a.bin": b"x"},))
        thread.start()
        thread.join(10)
    assert (tmp_path / "a.bin").read_bytes() == b"x"


def test_names_are_unique(tmp_path):
    made = [temporary_file(tmp_path) for _ in range(20)] + [temporary_folder(tmp_path) for _ in range(20)]
    assert len({path for path, _ in made}) == 40
    for _, handle in made:
        os.close(handle)
