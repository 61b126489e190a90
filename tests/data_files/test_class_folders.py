"""Files are found with their labels, whatever kind they are."""

import numpy as np
import pytest

from tfcompress.data_files.class_folders import files_below, layout_of
from tfcompress.data_files.reader import Reader, Source

TEXTS = Reader("texts", frozenset({".txt"}), True, None)


@pytest.fixture
def layout(tmp_path):
    """The layout of a folder with these files."""

    def find(*files, limit=None):
        for file in files:
            path = tmp_path / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("")
        return layout_of(Source(str(tmp_path), [], limit), TEXTS)

    return find


def test_hidden_files_and_folders_are_left_out(tmp_path, layout):
    found = layout("a/1.txt", "b/2.TXT", "b/.3.txt", ".git/4.txt", "b/.cache/5.txt", "b/6.png")
    assert files_below(str(tmp_path)) == [("a", "1.txt"), ("b", "2.TXT"), ("b", "6.png")]
    assert found.train.files == [str(tmp_path / "a" / "1.txt"), str(tmp_path / "b" / "2.TXT")]
    assert found.train.labels.tolist() == [0, 1] and found.classes == ("a", "b") and found.notes == ()


def test_names_are_sorted_as_texts(layout):
    assert layout("2/a.txt", "10/a.txt", "1/a.txt").classes == ("1", "10", "2")


def test_a_limit_holds_for_each_part(layout):
    files = [f"{part}/{name}/{k}.txt" for part in ("train", "test") for name in "ab" for k in range(6)]
    found = layout(*files, limit=4)
    assert found.train.labels.tolist() == found.test.labels.tolist() == [0, 0, 1, 1]
    assert len(set(found.train.files)) == 4


@pytest.mark.parametrize(
    "files, fault",
    [
        (("train/a/1.txt", "train/b/1.txt", "test/1.txt"), "has no class a, b"),
        (("train/a/1.txt", "train/b/1.txt", "test/a/1.txt"), "has no class b"),
        (("train/a/1.txt", "test/a/1.txt", "test/b/1.txt"), "has the class b, which train has not"),
    ],
)
def test_parts_that_are_not_alike_are_refused(files, fault, layout):
    with pytest.raises(ValueError, match=f"--data=.*: test {fault}. Both parts need the same class folders"):
        layout(*files)


def test_one_folder_in_each_part_makes_no_classes(layout):
    found = layout("train/images/1.txt", "test/images/1.txt")
    assert found.classes is found.train.labels is found.test.labels is None and len(found.notes) == 2


def test_the_folder_itself_may_be_the_working_folder(tmp_path, monkeypatch, layout):
    layout("a/1.txt", "b/1.txt")
    monkeypatch.chdir(tmp_path)
    source = Source(".", [])
    assert layout_of(source, TEXTS).train.labels.tolist() == np.array([0, 1]).tolist()
    assert source.name == tmp_path.name
