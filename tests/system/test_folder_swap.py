"""A folder gives way to another one in one step, and never to one that is half done."""

import os
import pathlib
import signal
import stat
import subprocess
import sys
import threading

import pytest

from tfcompress.system import folder_swap
from tfcompress.system.folder_swap import replace_folder

KILLED = """
import os, signal, sys
from tfcompress.system import folder_swap
real = getattr(folder_swap, sys.argv[2])
def then_die(*arguments):
    done = real(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(folder_swap, sys.argv[2], then_die)
folder_swap.replace_folder(sys.argv[1], {"a": b"new", "b": b"new"}, {})
"""


def content(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in pathlib.Path(folder).rglob("*") if p.is_file()}


@pytest.fixture(params=["in one step", "file by file"])
def way(request, monkeypatch):
    if request.param == "file by file":
        monkeypatch.setattr(folder_swap, "_system_call", lambda: None)
    elif folder_swap._system_call() is None:
        pytest.skip("this system cannot exchange folders")
    return request.param


def test_a_folder_is_made_and_replaced(tmp_path, way):
    folder = tmp_path / "deep" / "models"
    replace_folder(folder, {"a": b"1", "in/b": b"2", "in/c": b"3"}, {})
    folder.chmod(0o750)
    replace_folder(folder, {"a": b"new", "other/d": b"4"}, {tmp_path / "key": b"k"}, last=["a"])
    assert content(folder) == {"a": b"new", "other/d": b"4"}
    assert sorted(os.listdir(folder)) == ["a", "other"] and (tmp_path / "key").read_bytes() == b"k"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750
    assert os.listdir(folder.parent) == ["models"]


def test_a_link_to_a_folder_stays(tmp_path, way):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    replace_folder(tmp_path / "link", {"a": b"1"}, {})
    assert (tmp_path / "link").is_symlink() and content(tmp_path / "real") == {"a": b"1"}


def test_readers_find_a_folder_at_every_moment(tmp_path, way):
    folder = tmp_path / "models"
    replace_folder(folder, {"a": b"0", "b": b"0"}, {})
    missing, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            if not (folder / "a").exists():
                missing.append(1)

    reader = threading.Thread(target=read)
    reader.start()
    for k in range(100):
        replace_folder(folder, {"a": b"%d" % k, "b": b"%d" % k}, {})
    stop.set()
    reader.join()
    assert not missing and content(folder) == {"a": b"99", "b": b"99"}


def test_a_failing_writer_leaves_the_work_of_another(tmp_path, monkeypatch):
    folder, key = tmp_path / "models", tmp_path / "elsewhere" / "key"
    key.parent.mkdir()
    replace_folder(folder, {"a": b"old"}, {})
    replace = os.replace

    def other_first(source, target):
        if str(target) == str(key):  # between exchange and key another writer, who does not lock, is done
            (tmp_path / "theirs").mkdir()
            (tmp_path / "theirs" / "a").write_bytes(b"other")
            assert folder_swap.exchange(str(tmp_path / "theirs"), str(folder))
            raise OSError("disk full")
        replace(source, target)

    monkeypatch.setattr(os, "replace", other_first)
    with pytest.raises(OSError, match="disk full"):
        replace_folder(folder, {"a": b"mine"}, {key: b"k"})
    assert content(folder) == {"a": b"other"}


@pytest.mark.parametrize("step", ["_put", "temporary_folder", "_take_over", "exchange"])
def test_a_kill_leaves_the_old_folder_or_the_new_one(tmp_path, step):
    folder = tmp_path / "models"
    replace_folder(folder, {"a": b"old", "b": b"old"}, {})
    done = subprocess.run([sys.executable, "-c", KILLED, folder, step], check=False)
    assert done.returncode == -signal.SIGKILL
    assert content(folder) in ({"a": b"old", "b": b"old"}, {"a": b"new", "b": b"new"})
    replace_folder(folder, {"a": b"next"}, {})
    assert os.listdir(tmp_path) == ["models"] and content(folder) == {"a": b"next"}
