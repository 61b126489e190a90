"""Artifacts in any form come out as a dictionary of names."""

import pytest

from tfcompress.benchmarking.named_artifacts import lineup
from tfcompress.tflite.artifact import Artifact


def test_every_form_gives_names(net_files, tmp_path):
    plain, int8 = net_files
    path = tmp_path / "small.tflite"
    path.write_bytes(int8)
    known = Artifact(plain, {"mode": "float32"})
    assert list(lineup(known)) == ["float32"]
    assert list(lineup(plain)) == ["artifact"]
    assert list(lineup(str(path))) == ["small"]
    assert list(lineup([path, path, known, plain])) == ["small", "small-2", "float32", "artifact"]
    named = lineup({"b": plain, "a": path})
    assert list(named) == ["b", "a"]
    assert (named["b"].content, named["a"].content) == (plain, int8)
    assert lineup({"x": known})["x"] is known


@pytest.mark.parametrize("nothing", [[], {}, ()])
def test_nothing_is_refused(nothing):
    with pytest.raises(ValueError, match="at least one"):
        lineup(nothing)


def test_other_things_are_refused(small_net, tmp_path):
    with pytest.raises(TypeError, match="Sequential.*tfcompress.convert"):
        lineup(small_net)
    with pytest.raises(ValueError, match="names"):
        lineup({"": b"x"})
    with pytest.raises(ValueError, match="tflite"):
        lineup(b"not a model")
    with pytest.raises(FileNotFoundError):
        lineup(tmp_path / "missing.tflite")
