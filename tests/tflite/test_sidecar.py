"""Metadata beside a file that are of another type, too deep or told twice: left out with a warning."""

import json
import pathlib

import pytest

from tfcompress.tflite.artifact import Artifact

SOURCE = pathlib.Path(__file__).parents[2] / "models" / "mnist" / "int8_qat.tflite"


@pytest.fixture
def beside(tmp_path):
    """Writes a file and a sidecar; returns the file's path."""

    def write(text):
        (tmp_path / "m.tflite").write_bytes(SOURCE.read_bytes())
        (tmp_path / "m.tflite.json").write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path / "m.tflite"

    return write


def sidecar(**metadata):
    return json.dumps({"sha256": Artifact(SOURCE.read_bytes()).sha256, "metadata": metadata})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("layers", [1]), ("layers", {"0": 3}), ("slim", 5), ("slim", [5]), ("surgery", {"a": 1}), ("recipe", "x"),
        ("mode", 3), ("parity", [1]), ("versions", [1]), ("calibration_samples", "many"),
    ],
)  # fmt: skip
def test_entries_of_another_type_are_left_out(beside, key, value):
    path = beside(sidecar(**{key: value, "more": 1}))
    with pytest.warns(UserWarning, match=f"{key} of the metadata is of another type"):
        artifact = Artifact.load(path)
    assert artifact.metadata == {"more": 1}
    assert artifact.summary() and artifact.ops_table()


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": 1, "a": 2}', b"\xff\xfe", '{"sha256": 1e999}', "3", "{}"])
def test_what_is_no_metadata_is_left_out(beside, text):
    with pytest.warns(UserWarning, match="is no artifact metadata and was left out"):
        assert Artifact.load(beside(text)).metadata == {}


def test_right_metadata_stay(beside):
    right = json.loads(pathlib.Path(f"{SOURCE}.json").read_text())["metadata"]
    assert Artifact.load(beside(sidecar(**right))).metadata == right
