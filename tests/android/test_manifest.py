"""Whatever differs from what was signed is refused: each byte of a manifest, models, files; and badly formed ones."""

import copy
import hashlib
import json
import pathlib

import numpy as np
import pytest

from tfcompress.android import secure
from tfcompress.android.assets import AppTask, SampleImages, write_assets
from tfcompress.android.manifest import DigestError, ManifestError, check_document, read_manifest
from tfcompress.android.phone_variant import phone_variant
from tfcompress.android.secure import DecryptionError, IntegrityError, SignatureError
from tfcompress.tflite.artifact import Artifact
from tfcompress.validation import strict_json

MODELS = pathlib.Path(__file__).parents[2] / "models" / "mnist"
WORD = "open sesame"


@pytest.fixture(scope="module")
def task():
    monitor = {"confidence_edges": [0.0, 0.5, 1.0], "latency_edges_us": [0, 100]}
    return AppTask("noise", [str(i) for i in range(10)], 28, monitor, "int8_ptq", "2.16.1", {"tfcompress": "0"})


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).integers(0, 256, (3, 28, 28)).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, task, pictures):
    """A folder with a plain and an encrypted copy of one model, signed; the key lies beside it."""
    place = tmp_path_factory.mktemp("assets")
    variant = phone_variant("int8_ptq", Artifact.load(MODELS / "int8_ptq.tflite"), 28, 10, {"top1": None})
    samples = SampleImages(pictures, [1, 2, 3], [0, 1, 2], ["first"] * 3, "noise", "none")
    options = {"public_key": place / "key.der", "encrypted": ["int8_ptq"], "passphrase": WORD, "keep_plain": True}
    write_assets(place / "models", [variant], task, samples, pictures, **options)
    return place / "models"


@pytest.fixture(scope="module")
def public(folder):
    return (folder.parent / "key.der").read_bytes()


@pytest.fixture
def copied(folder, tmp_path):
    """A copy of the folder that a test may damage."""
    for path in folder.rglob("*"):
        if path.is_file():
            target = tmp_path / path.relative_to(folder)
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(path.read_bytes())
    return tmp_path


def test_what_was_signed_is_read(folder, public, task, pictures):
    manifest = read_manifest(folder, public)
    content = (MODELS / "int8_ptq.tflite").read_bytes()
    assert manifest.names == ("int8_ptq", "int8_ptq_encrypted")
    assert manifest.model("int8_ptq") == content == manifest.model("int8_ptq_encrypted", WORD)
    assert manifest.sha256 == hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    assert manifest.document["key_sha256"] == hashlib.sha256(public).hexdigest()
    for name in manifest.names:
        x, y = manifest.golden(name)
        assert np.array_equal(x[..., 0], pictures.astype(np.int16) - 128)
        assert np.array_equal(y, Artifact(content).predict_codes(task.values(pictures)))
    assert read_manifest(folder, folder.parent / "key.der").document == manifest.document


def test_every_file_is_accounted_for(folder, public):
    manifest = read_manifest(folder, public)
    listed = {*manifest.document["files"], *(model["file"] for model in manifest.document["models"])}
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert there == listed | {"manifest.json", "manifest.sig"}


def test_every_byte_of_the_manifest_counts(folder, public):
    content, signature = (folder / "manifest.json").read_bytes(), (folder / "manifest.sig").read_bytes()
    assert len(content) > 2048
    rng = np.random.default_rng(0)
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= rng.integers(1, 256)
        with pytest.raises(SignatureError):
            secure.verify(bytes(changed), signature, public)


@pytest.mark.parametrize("name", ["manifest.json", "manifest.sig"])
def test_a_damaged_manifest_is_refused_from_disk(copied, public, name):
    whole = (copied / name).read_bytes()
    rng = np.random.default_rng(1)
    for _ in range(50):
        changed = bytearray(whole)
        changed[rng.integers(len(whole))] ^= rng.integers(1, 256)
        cut = whole[: rng.integers(len(whole))]
        for damaged in (bytes(changed), cut, whole + b"\n"):
            (copied / name).write_bytes(damaged)
            with pytest.raises(SignatureError):
                read_manifest(copied, public)


def test_another_key_is_refused(folder):
    with pytest.raises(SignatureError):
        read_manifest(folder, secure.public_der(secure.new_key()))


@pytest.mark.parametrize("name", ["int8_ptq", "int8_ptq_encrypted"])
def test_random_faults_in_models_are_refused(copied, public, name):
    manifest = read_manifest(copied, public)
    path = copied / manifest.entry(name)["file"]
    whole = path.read_bytes()
    rng = np.random.default_rng(2)
    for _ in range(1000):
        changed = bytearray(whole)
        if rng.random() < 0.5:
            changed[rng.integers(len(whole))] ^= rng.integers(1, 256)
        else:
            del changed[rng.integers(len(whole)) :]
        path.write_bytes(changed)
        with pytest.raises(DigestError, match=path.name):
            manifest.model(name, WORD)
    path.unlink()
    with pytest.raises(DigestError, match="cannot be read"):
        manifest.model(name, WORD)


def test_damaged_golden_files_and_samples_are_refused(copied, public):
    manifest = read_manifest(copied, public)
    for name in manifest.document["files"]:
        content = manifest.file(name)
        (copied / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(DigestError, match=name):
            manifest.file(name)
    with pytest.raises(DigestError):
        manifest.golden("int8_ptq")


def test_two_models_cannot_change_places(copied, public):
    manifest = read_manifest(copied, public)
    plain, sealed = (copied / manifest.entry(name)["file"] for name in manifest.names)
    plain.write_bytes(sealed.read_bytes())
    with pytest.raises(DigestError):
        manifest.model("int8_ptq")


def test_a_passphrase_is_needed_and_must_be_right(folder, public):
    manifest = read_manifest(folder, public)
    with pytest.raises(ValueError, match="int8_ptq_encrypted is encrypted: give its passphrase"):
        manifest.model("int8_ptq_encrypted")
    with pytest.raises(DecryptionError):
        manifest.model("int8_ptq_encrypted", "wrong")
    with pytest.raises(KeyError, match="int8_qat"):
        manifest.model("int8_qat")


def without(*path):
    def change(document):
        for key in path[:-1]:
            document = document[key]
        del document[path[-1]]

    return change


def put(value, *path):
    def change(document):
        for key in path[:-1]:
            document = document[key]
        document[path[-1]] = value

    return change


@pytest.mark.parametrize(
    "change, message",
    [
        (put("tfcompress.android/2", "schema"), "schema: must be 'tfcompress.android/1'"),
        (without("schema"), "the key 'schema' is missing"),
        (without("models", 0, "sha256"), r"manifest.models\[0\]: the key 'sha256' is missing"),
        (without("input", "normalization", "offset"), "the key 'offset' is missing"),
        (put("9", "models", 0, "bytes"), r"models\[0\].bytes: is of another type"),
        (put(True, "models", 0, "bytes"), r"models\[0\].bytes: is of another type"),
        (put(-1, "models", 0, "bytes"), "bytes or sha256"),
        (put("AB" * 32, "models", 0, "sha256"), "bytes or sha256"),
        (put("../key.der", "models", 0, "file"), "no path below"),
        (put("/etc/passwd", "models", 0, "file"), "no path below"),
        (put("a/../../b", "models", 0, "file"), "no path below"),
        (put("a//b", "models", 0, "file"), "no path below"),
        (put("a\\b", "models", 0, "file"), "no path below"),
        (put({"bytes": 1, "sha256": "0" * 64}, "files", "../x"), "no path below"),
        (put({"bytes": 1}, "files", "golden/in_int8.bin"), "the key 'sha256' is missing"),
        (put("int8_ptq", "models", 1, "id"), "is there twice"),
        (put("INT8", "models", 0, "id"), "lower-case letters"),
        (put("float32", "reference"), "is none of the models"),
        (put("golden/none.bin", "models", 0, "golden", "input"), "named and not listed"),
        (put("uint8", "models", 0, "inputs", 0, "dtype"), "int8 with a scale, or float32"),
        (put(None, "models", 0, "inputs", 0, "quant"), "int8 with a scale, or float32"),
        (put([1, 28, 28, 3], "models", 0, "inputs", 0, "shape"), "shapes do not fit"),
        (put([], "models", 0, "inputs"), "shapes do not fit"),
        (put(["0"], "task", "labels"), "shapes do not fit"),
        (put("tfcompress:1:int8_ptq", "models", 1, "encryption", "aad"), "encryption.aad must be"),
        (put([], "files"), "files: is of another type"),
        (put("RSA", "sig_alg"), "sig_alg: must be 'ECDSA-P256-SHA256'"),
        (put("12", "key_sha256"), "key_sha256: must be 64 hexadecimal digits"),
        (put(0, "input", "normalization", "scale"), "normalization.scale: must be a scale"),
        (put(3, "input", "channels"), "channels: must be 1"),
        (put(10**6, "input", "width"), "shapes do not fit"),
        (put([0.0, 0.0], "monitor", "confidence_edges"), "confidence_edges: must be two or more ascending"),
        (put(["a"] * 10, "task", "labels"), "labels: must be one or more texts, each once"),
        (put(0, "models", 0, "bytes"), "bytes: must be 1 or more"),
        (put(0.0, "models", 0, "inputs", 0, "quant", "scale"), "must be a scale above 0"),
        (put(-1.0, "models", 0, "outputs", 0, "quant", "scale"), "must be a scale above 0"),
        (put(200, "models", 0, "inputs", 0, "quant", "zero_point"), "zero point of 'image': must be from -128 to 127"),
        (put(0, "models", 0, "op_versions", "CONV_2D"), "op_versions: 'CONV_2D' must be 1 or more"),
        (put(0, "models", 0, "golden", "count"), "golden.count: must be 1 or more"),
        (put(99, "models", 0, "golden", "count"), "must have 77,616 bytes"),
        (put(-1, "models", 0, "golden", "max_lsb"), "max_lsb: must be 0 or more"),
        (put("AES", "models", 1, "encryption", "alg"), "encryption.alg: must be 'A256GCM'"),
        (put(1, "models", 1, "encryption", "kdf", "iterations"), "iterations: must be from 100,000"),
        (put(10**12, "models", 1, "encryption", "kdf", "iterations"), "iterations: must be from 100,000"),
        (put(-5, "models", 1, "encryption", "plain_bytes"), "plain_bytes: must be 1 or more"),
        (put("x", "models", 1, "encryption", "plain_sha256"), "plain_sha256: must be 64"),
        (
            put(
                {"data": "d", "samples": 3, "classes": [-1, 4, *[0] * 8], "confidence": [3, 0]},
                "models",
                0,
                "reference_histogram",
            ),
            "reference_histogram.classes: must be 10 counts that sum to 3",
        ),
    ],
)
def test_a_manifest_of_another_form_is_refused_although_it_is_signed(copied, change, message):
    document = json.loads((copied / "manifest.json").read_text())
    change(document)
    key = secure.new_key()
    content = strict_json.write(document)
    (copied / "manifest.json").write_bytes(content)
    (copied / "manifest.sig").write_bytes(secure.sign(content, key))
    with pytest.raises(ManifestError, match=message):
        read_manifest(copied, secure.public_der(key))


def test_the_key_it_names_is_the_key_it_is_signed_with(copied, public):
    document = json.loads((copied / "manifest.json").read_text())
    key = secure.new_key()
    content = strict_json.write(document)
    (copied / "manifest.json").write_bytes(content)
    (copied / "manifest.sig").write_bytes(secure.sign(content, key))
    with pytest.raises(ManifestError, match="key_sha256 names another key"):
        read_manifest(copied, secure.public_der(key))


def test_two_equal_keys_are_refused(folder):
    content = (folder / "manifest.json").read_bytes()
    assert check_document(content)
    doubled = content.replace(b'"reference":', b'"reference": "int8_ptq_encrypted",\n "reference":', 1)
    with pytest.raises(ManifestError, match="'reference' stands twice"):
        check_document(doubled)
    with pytest.raises(ManifestError, match="byte order mark"):
        check_document(b"\xef\xbb\xbf" + content)


def test_unknown_keys_are_ignored(folder):
    document = json.loads((folder / "manifest.json").read_text())
    more = copy.deepcopy(document)
    more["later"] = more["models"][0]["later"] = {"new": [1]}
    assert check_document(strict_json.write(more)) == more


def test_all_faults_are_of_one_kind():
    assert issubclass(ManifestError, IntegrityError) and issubclass(DigestError, IntegrityError)
