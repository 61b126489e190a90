"""The folder is written whole or not at all, replaces only its own kind, and holds no private key."""

import base64
import json
import os
import pathlib

import numpy as np
import pytest

from tfcompress.android import assets, secure
from tfcompress.android.assets import AppTask, SampleImages, write_assets
from tfcompress.android.manifest import read_manifest
from tfcompress.android.phone_variant import phone_variant
from tfcompress.tflite.artifact import Artifact

MODELS = pathlib.Path(__file__).parents[2] / "models" / "mnist"


@pytest.fixture(scope="module")
def variants():
    return [phone_variant(n, Artifact.load(MODELS / f"{n}.tflite"), 28, 10, {}) for n in ("float32", "int8_qat")]


@pytest.fixture
def write(variants):
    """Writes the two models to a folder with whatever else is given."""
    task = AppTask("noise", list("0123456789"), 28, {"confidence_edges": [0, 1], "latency_edges_us": [0, 1]},
                   "float32", "", {})  # fmt: skip
    pictures = np.random.default_rng(0).integers(0, 256, (2, 28, 28)).astype(np.uint8)
    samples = SampleImages(pictures, np.array([4, 2]), [7, np.int64(8)], ["first", "disputed"], "noise", "none")

    def write(folder, variants=variants, task=task, **options):
        return write_assets(folder, variants, task, samples, pictures, **options)

    return write


def snapshot(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_samples_and_their_index(write, tmp_path):
    manifest = read_manifest(tmp_path / "out", write(tmp_path / "out"))
    index = json.loads(manifest.file(manifest.document["samples"]))
    assert index["schema"] == assets.SAMPLES_SCHEMA and index["count"] == 2
    assert index["labels"] == [4, 2] and index["indices"] == [7, 8] and index["kinds"] == ["first", "disputed"]
    assert len(manifest.file(index["file"])) == 2 * 28 * 28


def test_golden_inputs_are_shared_by_type(write, tmp_path):
    manifest = read_manifest(tmp_path / "out", write(tmp_path / "out", encrypted=["int8_qat"], passphrase="word",
                                                     keep_plain=True))  # fmt: skip
    golden = {name: manifest.entry(name)["golden"] for name in manifest.names}
    assert golden["int8_qat"] == golden["int8_qat_encrypted"] and "max_lsb" in golden["int8_qat"]
    assert golden["float32"]["input"] == "golden/in_float32.bin" and "max_abs" in golden["float32"]
    assert golden["float32"]["count"] == 2
    x, y = manifest.golden("float32")
    assert x.dtype == np.float32 and x.min() >= 0 and x.max() <= 1 and y.shape == (2, 10)


def test_another_input_quantization_gets_a_file_of_its_own(write, variants, tmp_path):
    content = bytearray(variants[1].artifact.content)
    old = np.float32(variants[1].input.scale).tobytes()
    other = bytes(content).replace(old, np.float32(0.25).tobytes())
    assert other != content
    changed = phone_variant("other_scale", Artifact(other), 28, 10, {})
    assert changed.input.scale == 0.25
    manifest = read_manifest(tmp_path / "out", write(tmp_path / "out", [*variants, changed]))
    assert manifest.entry("other_scale")["golden"]["input"] == "golden/in_int8_2.bin"
    assert manifest.entry("int8_qat")["golden"]["input"] == "golden/in_int8.bin"


def test_an_encrypted_model_is_nowhere_in_plain(write, variants, tmp_path):
    write(tmp_path / "out", encrypted=["int8_qat"], passphrase="word")
    manifest_names = {path.name for path in (tmp_path / "out").iterdir()}
    assert "int8_qat.tflite.enc" in manifest_names and "int8_qat.tflite" not in manifest_names
    piece = variants[1].artifact.content[2000:2064]
    assert not any(piece in content for content in snapshot(tmp_path).values())


def test_no_private_key_is_written(write, tmp_path):
    public = write(tmp_path / "out", public_key=tmp_path / "key.der")
    assert (tmp_path / "key.der").read_bytes() == public
    other = write(tmp_path / "out", public_key=tmp_path / "key.der")  # a new pair replaces the key
    assert other != public and (tmp_path / "key.der").read_bytes() == other
    read_manifest(tmp_path / "out", other)
    assert not any(b"PRIVATE" in content for content in snapshot(tmp_path).values())


def test_a_given_key_signs_and_its_private_number_is_not_written(write, tmp_path):
    key = secure.new_key()
    assert write(tmp_path / "out", key=key) == secure.public_der(key)
    read_manifest(tmp_path / "out", secure.public_der(key))
    number = key.private_numbers().private_value.to_bytes(32, "big")
    written = b"".join(snapshot(tmp_path).values())
    assert number not in written and base64.b64encode(number) not in written


def test_the_folder_is_replaced_as_a_whole(write, variants, tmp_path):
    write(tmp_path / "out")
    (tmp_path / "out" / "left.over").touch()
    write(tmp_path / "out", variants[:1])
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"float32.tflite", "golden", "samples", "manifest.json", "manifest.sig"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"variants": []}, "give at least one"),
        ({"encrypted": ["none"], "passphrase": "word"}, "no variant 'none'"),
        ({"encrypted": ["float32"]}, "passphrase: is needed to encrypt float32"),
        ({"passphrase": "word"}, "nothing is to be encrypted"),
    ],
)
def test_bad_input_leaves_the_old_folder(write, tmp_path, options, message):
    write(tmp_path / "out", public_key=tmp_path / "key.der")
    before = snapshot(tmp_path)
    with pytest.raises(ValueError, match=message):
        write(tmp_path / "out", public_key=tmp_path / "key.der", **options)
    assert snapshot(tmp_path) == before


def test_a_name_twice_is_refused(write, variants, tmp_path):
    with pytest.raises(ValueError, match="each name once"):
        write(tmp_path / "out", [variants[0], variants[0]])


@pytest.mark.parametrize("fails", ["key moved", "no folder for the key"])
def test_what_goes_wrong_late_brings_the_old_folder_back(write, tmp_path, monkeypatch, fails):
    write(tmp_path / "out", public_key=tmp_path / "key.der")
    before = snapshot(tmp_path)
    replace = os.replace

    def full(source, target):
        if target.endswith("key.der"):
            raise OSError("disk full")
        replace(source, target)

    place = tmp_path / "key.der"
    if fails == "key moved":
        monkeypatch.setattr(os, "replace", full)
    else:
        place = tmp_path / "no folder" / "key.der"
    with pytest.raises(OSError):
        write(tmp_path / "out", public_key=place)
    assert snapshot(tmp_path) == before


def test_a_folder_of_something_else_is_not_replaced(write, tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"mine")
    with pytest.raises(ValueError, match="holds files and no manifest.json"):
        write(tmp_path)
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty")
    with pytest.raises(ValueError, match="is a file"):
        write(tmp_path / "photo.jpg")
    assert (tmp_path / "photo.jpg").read_bytes() == b"mine"
