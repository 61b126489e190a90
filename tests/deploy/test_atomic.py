"""Files are written whole or not at all."""

import pytest

from tfcompress.deploy.atomic import write_files


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
