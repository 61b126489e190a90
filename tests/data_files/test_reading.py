"""The table of readers says which path each takes; other paths are refused with what is accepted."""

import subprocess
import sys

import numpy as np
import pytest

from tfcompress.data_files import readers
from tfcompress.data_files.reading import read_data

INPUT = [("image", (8, 6, 3), "float32")]


def test_missing_paths(tmp_path):
    with pytest.raises(FileNotFoundError, match="--calibration=.*a.npz: there is no such file"):
        read_data(str(tmp_path / "a.npz"), INPUT, flag="--calibration")


def test_unknown_kinds_are_refused_with_those_there_are(tmp_path, picture):
    (tmp_path / "a.txt").write_text("1")
    with pytest.raises(ValueError, match="is of no known kind. Accepted: a .npz file .*WAV files.*a .csv file"):
        read_data(str(tmp_path / "a.txt"), INPUT)
    with pytest.raises(ValueError, match="the folder holds no data files. Accepted: a folder of pictures .*png.*wav"):
        read_data(str(tmp_path), INPUT)
    picture(tmp_path / "a.png")
    with pytest.raises(ValueError, match="a.png: is a single file. Give a folder of pictures"):
        read_data(str(tmp_path / "a.png"), INPUT)


def test_pictures_among_sounds_are_refused(tmp_path, picture, sound):
    picture(tmp_path / "a.png")
    sound(tmp_path / "a.wav", np.zeros(5))
    with pytest.raises(ValueError, match="holds several kinds of data. Give one of: a folder of pictures"):
        read_data(str(tmp_path), INPUT)


def test_each_ending_has_one_reader():
    found = readers.found_readers()
    endings = [ending for reader in found for ending in reader.suffixes]
    assert len(endings) == len(set(endings)) and {".npz", ".npy", ".csv", ".wav", ".png"} <= set(endings)


def test_a_kind_is_one_file(tmp_path, monkeypatch):
    (tmp_path / "texts.py").write_text(
        "import numpy as np\n"
        "from tfcompress.data_files.arrays import Arrays\n"
        "from tfcompress.data_files.reader import Reader\n"
        "def read(source):\n"
        "    return Arrays(np.loadtxt(source.path))\n"
        "READER = Reader('numbers as text', frozenset({'.txt'}), False, read)\n"
    )
    (tmp_path / "a.txt").write_text("1\n2\n")
    monkeypatch.setattr(readers, "__path__", [*readers.__path__, str(tmp_path)])
    assert read_data(str(tmp_path / "a.txt"), [("x", (), "float32")]).x.tolist() == [1, 2]


def test_what_a_kind_needs_is_imported_where_it_is_read():
    program = "import sys, tfcompress.cli.entry; print([m for m in ('PIL', 'wave', 'csv') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "PIL" not in done.stdout and "wave" not in done.stdout
