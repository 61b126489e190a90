"""Files are written whole or not at all."""

import os
import socket
import stat
import threading

import pytest

from tfcompress.system.atomic import whole_file, write_files


def test_files_are_written_and_replaced(tmp_path):
    path = tmp_path / "a.bin"
    write_files({path: b"old"})
    write_files({path: b"new", str(tmp_path / "b.bin"): b"beside"})
    assert path.read_bytes() == b"new"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.bin", "b.bin"]


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("missing/b.bin", b"x", FileNotFoundError),
        ("b.bin", "text", TypeError),
        ("folder", b"x", IsADirectoryError),
    ],
)
def test_one_bad_file_leaves_all_as_they_were(tmp_path, name, content, error):
    (tmp_path / "folder").mkdir()
    good = tmp_path / "a.bin"
    good.write_bytes(b"old")
    with pytest.raises(error):
        write_files({good: b"new", tmp_path / name: content})
    assert good.read_bytes() == b"old"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.bin", "folder"]


def test_a_relative_path_needs_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_files({"here.bin": b"x"})
    assert (tmp_path / "here.bin").read_bytes() == b"x"


def test_a_link_stays_and_its_file_is_written(tmp_path):
    (tmp_path / "inner").mkdir()
    real, link, dangling = tmp_path / "inner" / "real", tmp_path / "link", tmp_path / "dangling"
    real.write_bytes(b"old")
    link.symlink_to("inner/real")
    dangling.symlink_to("inner/fresh")
    write_files({link: b"new", dangling: b"first"})
    assert link.is_symlink() and dangling.is_symlink()
    assert real.read_bytes() == b"new" and (tmp_path / "inner" / "fresh").read_bytes() == b"first"
    with pytest.raises(FileNotFoundError, match="nowhere"):
        (tmp_path / "lost").symlink_to("nowhere/file")
        write_files({tmp_path / "lost": b"x"})


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_permissions_stay(tmp_path, mode):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    path.chmod(mode)
    write_files({path: b"new"})
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_new_file_follows_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        write_files({tmp_path / "a.bin": b"x"})
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a.bin").stat().st_mode) == 0o640


def test_a_fifo_is_written_straight(tmp_path):
    path, read = tmp_path / "pipe", []
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: read.append(path.read_bytes()))
    reader.start()
    write_files({path: b"through", tmp_path / "a.bin": b"x"})
    reader.join()
    assert read == [b"through"] and stat.S_ISFIFO(path.stat().st_mode)


def test_a_device_is_written_straight():
    write_files({"/dev/null": b"x"})
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    with pytest.raises(OSError, match="space"):
        write_files({"/dev/full": b"x"})


def test_an_open_file_is_written_straight(tmp_path):
    with open(tmp_path / "out", "wb") as file:
        write_files({f"/proc/self/fd/{file.fileno()}": b"x"})
        assert os.fstat(file.fileno()).st_nlink == 1
    assert (tmp_path / "out").read_bytes() == b"x"


def test_the_longest_name_works(tmp_path):
    path = tmp_path / ("y" * 255)
    write_files({path: b"x"})
    write_files({path: b"y"})
    assert path.read_bytes() == b"y"


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_what_is_no_path_is_refused(name):
    with pytest.raises(ValueError, match="no path of a file"):
        write_files({name: b"x"})


def test_a_socket_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the name of a socket must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s")
        with pytest.raises(OSError, match="socket"):
            write_files({"s": b"x"})


def test_a_writer_of_its_own_writes_whole_or_not_at_all(tmp_path):
    target = tmp_path / "model.keras"
    target.write_bytes(b"old")
    target.chmod(0o600)
    with pytest.raises(RuntimeError), whole_file(target, ".keras") as temporary:
        with open(temporary, "wb") as file:
            file.write(b"half")
        raise RuntimeError
    assert target.read_bytes() == b"old"
    with whole_file(target, ".keras") as temporary:
        assert temporary.endswith(".keras")
        with open(temporary, "wb") as file:
            file.write(b"all")
    assert target.read_bytes() == b"all" and stat.S_IMODE(target.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["model.keras"]
