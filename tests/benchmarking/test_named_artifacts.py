"""Artifacts in any form come out as a dictionary of names."""

import pytest

from tfcompress.benchmarking.named_artifacts import lineup, short_names
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


@pytest.mark.parametrize(
    "paths, names",
    [
        (["/x/y/int8.tflite"], ["int8.tflite"]),
        (["/x/a/int8.tflite", "/x/b/int8.tflite"], ["a/int8.tflite", "b/int8.tflite"]),
        (["/x/a/out/m.tflite", "/x/b/out/m.tflite", "/x/f.tflite"], ["a/out/m.tflite", "b/out/m.tflite", "f.tflite"]),
        (["m.tflite", "a/m.tflite"], ["m.tflite", "a/m.tflite"]),
        (["a/m.tflite", "./a/m.tflite"], ["m.tflite", "m.tflite"]),
        (["/m.tflite", "m.tflite"], ["/m.tflite", "m.tflite"]),
        ([], []),
    ],
)
def test_files_of_one_name_get_the_shortest_part_that_differs(paths, names):
    assert short_names(paths) == names


def test_files_of_one_name_are_told_apart(net_files, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "net.v2.tflite").write_bytes(net_files[0])
    named = lineup([tmp_path / "a" / "net.v2.tflite", str(tmp_path / "b" / "net.v2.tflite")])
    assert list(named) == ["a/net.v2", "b/net.v2"]


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
