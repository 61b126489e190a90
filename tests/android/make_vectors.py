"""Test vectors for the Android app: inputs with the answers of this package's own functions.

    python tests/android/make_vectors.py [--data mnist.npz]

The Kotlin tests and `test_vectors.py` read the same files, so that what is computed twice is computed alike. With
`--data` the answers of the reference models (`models/mnist`) are written as well, to `vectors/parity`.
"""

import argparse
import base64
import hashlib
import os
import pathlib

import numpy as np

from tfcompress.android import secure
from tfcompress.android.centring import centre
from tfcompress.android.export import pixels
from tfcompress.android.monitor.confidence import softmax, top_k
from tfcompress.android.monitor.histograms import CONFIDENCE_EDGES, LATENCY_EDGES_US, counts
from tfcompress.android.phone_variant import runs_in
from tfcompress.benchmarking.timing import percentile, statistics
from tfcompress.datasets.mnist import load_mnist
from tfcompress.system.atomic import write_files
from tfcompress.tflite.artifact import Artifact
from tfcompress.tflite.tensor_spec import TensorSpec
from tfcompress.validation import strict_json

FOLDER = pathlib.Path(__file__).with_name("vectors")
MODELS = pathlib.Path(__file__).parents[2] / "models" / "mnist"
SCALE, OFFSET = 1 / 255, 0.0
PERCENTS = (0, 1, 10, 25, 50, 75, 90, 95, 99, 100)
IMAGES = 256


def main():
    """Writes all files."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", default="", help="mnist.npz, for the answers of the reference models")
    data = parser.parse_args().data
    makers = (quantize, normalization, softmaxes, top, percentiles, centring, versions, histogram, strict, security)
    names = ("quantize", "normalization", "softmax", "topk", "percentiles", "centring", "versions", "histogram")
    files = {}
    for name, make in zip((*names, "strict_json", "security"), makers, strict=True):
        files[FOLDER / f"{name}.json"] = strict_json.write(make())
    if data:
        (FOLDER / "parity").mkdir(parents=True, exist_ok=True)
        files |= parity(load_mnist(data).x_test)
    write_files(files)


def quantize():
    """Real values to codes and back, with halves, limits and the scales of real files."""
    rng = np.random.default_rng(0)
    scales = {"pixel": (np.float32(1 / 255), -128), "logit": (np.float32(0.15263903141021729), -8)}
    scales |= {"half": (np.float32(0.5), 3), "two": (np.float32(2.0), 0), "third": (np.float32(1 / 3), 127)}
    cases = []
    for name, (scale, zero_point) in scales.items():
        spec = TensorSpec("x", (1,), "int8", scale=float(scale), zero_point=zero_point)
        codes = np.arange(-128, 128)
        exact = (codes - zero_point).astype(np.float32) * scale
        halfway = ((codes - zero_point).astype(np.float32) + np.float32(0.5)) * scale
        far = np.array([0.0, -0.0, 1e9, -1e9, 1e30, 1e-30], np.float32)
        values = np.concatenate([exact, halfway, far, rng.normal(0, 60 * scale, 200).astype(np.float32)])
        coded = spec.quantize(values)
        cases.append(
            {
                "name": name,
                "scale": float(scale),
                "zero_point": zero_point,
                "values": [float(value) for value in values],
                "codes": coded.tolist(),
                "dequantized": [float(value) for value in spec.dequantize(coded)],
            }
        )
    return {"description": "values and dequantized are float32 values.", "cases": cases}


def normalization():
    """Every pixel value as an input value and as the code of an int8 input."""
    values = (np.arange(256, dtype=np.float64) * SCALE + OFFSET).astype(np.float32)
    spec = TensorSpec("x", (1,), "int8", scale=float(np.float32(1 / 255)), zero_point=-128)
    return {
        "scale": SCALE,
        "offset": OFFSET,
        "float32_bits": values.view(np.int32).tolist(),
        "quant": {"scale": spec.scale, "zero_point": spec.zero_point},
        "codes": spec.quantize(values).tolist(),
    }


def softmaxes():
    """Logits to probabilities: equal, far apart, large, many."""
    rng = np.random.default_rng(1)
    logits = {
        "equal": np.zeros(10),
        "one": np.array([5.0]),
        "far apart": np.array([0.0, -800.0, 800.0]),
        "large": np.array([1e6, 1e6 - 1, 1e6 - 2]),
        "close": np.array([1.0, 1.0 + 1e-9, 1.0 - 1e-9]),
    }
    logits |= {f"random {i}": rng.normal(0, 8, 10).astype(np.float32).astype(np.float64) for i in range(20)}
    cases = [
        {"name": name, "logits": values.tolist(), "probabilities": softmax(values).tolist()}
        for name, values in logits.items()
    ]
    return {"tolerance": 1e-12, "cases": cases}


def top():
    """The largest scores, with ties."""
    rng = np.random.default_rng(2)
    scores = {
        "distinct": np.array([0.1, 0.5, 0.4]),
        "all equal": np.ones(10),
        "tie for the first": np.array([0.2, 0.4, 0.4, 0.0]),
        "tie for the last": np.array([0.3, 0.1, 0.3, 0.1, 0.2]),
        "minus zero": np.array([-0.0, 0.0, -1.0]),
        "negative": np.array([-3.0, -1.0, -2.0]),
    }
    scores |= {f"codes {i}": rng.integers(-8, 8, 10).astype(np.float64) for i in range(10)}
    cases = [
        {"name": name, "scores": values.tolist(), "k": k, "indices": top_k(values, k)}
        for name, values in scores.items()
        for k in (1, 3)
    ]
    return {"cases": cases}


def percentiles():
    """Nearest-rank percentiles and statistics of times."""
    rng = np.random.default_rng(3)
    values = {"one": [42.5], "two": [3.0, 1.0], "ties": [5.0, 5.0, 1.0, 9.0, 9.0], "zero": [0.0, 1e9, 0.125]}
    for count in (10, 50, 99, 100, 101, 128):
        values[f"{count} runs"] = np.round(rng.gamma(4, 10, count), 3).tolist()
    cases = [
        {
            "name": name,
            "values": found,
            "percentiles": {str(percent): percentile(found, percent) for percent in PERCENTS},
            "statistics": statistics(found),
        }
        for name, found in values.items()
    ]
    return {"cases": cases}


def centring():
    """Pictures of ink and the digits that become of them."""
    cases = [
        {
            "name": name,
            "width": image.shape[1],
            "height": image.shape[0],
            "pixels": text(image.tobytes()),
            "expected": text(centre(image).tobytes()),
        }
        for name, image in pictures().items()
    ]
    return {"cases": cases}


def pictures():
    """Ink of many shapes, uint8, by name."""
    rng = np.random.default_rng(4)
    seven, corner = [(20, 20), (90, 20), (45, 100)], [(3, 3), (20, 5), (8, 30)]
    angles = np.linspace(0, 2 * np.pi, 60)
    zero = [(70 + 30 * np.cos(a), 70 + 50 * np.sin(a)) for a in angles]
    faint = ink(112, 112, seven, 2) // 5
    blank, point, haze = (np.zeros((40, 60), np.uint8) for _ in range(3))
    point[39, 0] = 200
    haze[::7, ::9] = 1
    dots = np.zeros((200, 200), np.uint8)
    dots[0, 0] = dots[199, 199] = 255
    return {
        "seven": ink(112, 112, seven, 6),
        "zero": ink(140, 140, zero, 7),
        "in the corner": ink(100, 100, corner, 3),
        "upright line": ink(60, 100, [(30, 5), (30, 95)], 2),
        "level line": ink(200, 60, [(5, 30), (195, 31)], 4),
        "faint": faint,
        "small": ink(20, 20, [(8, 6), (12, 13)], 1),
        "blank": blank,
        "one pixel": point,
        "haze": haze,
        "two far dots": dots,
        "full": np.full((30, 30), 255, np.uint8),
        "full and wide": np.full((7, 50), 130, np.uint8),
        "smallest": np.array([[255]], np.uint8),
        "noise": rng.integers(0, 256, (53, 37)).astype(np.uint8),
        "sparse noise": (rng.integers(0, 256, (64, 64)) * (rng.random((64, 64)) < 0.02)).astype(np.uint8),
        "size of the result": ink(28, 28, [(6, 6), (22, 6), (12, 24)], 1.5),
    }


def ink(width, height, points, radius):
    """A line through points with a soft edge, uint8 (height, width)."""
    rows, columns = np.mgrid[0:height, 0:width] + 0.5
    nearest = np.full((height, width), np.inf)
    for (x0, y0), (x1, y1) in zip(points, points[1:], strict=False):
        length = (x1 - x0) ** 2 + (y1 - y0) ** 2
        along = np.clip(((columns - x0) * (x1 - x0) + (rows - y0) * (y1 - y0)) / length, 0, 1)
        away = np.hypot(columns - x0 - along * (x1 - x0), rows - y0 - along * (y1 - y0))
        nearest = np.minimum(nearest, away)
    return np.rint(255 * np.clip(radius + 0.5 - nearest, 0, 1)).astype(np.uint8)


def versions():
    """Whether a runtime is new enough for a file."""
    pairs = [
        ("2.17.0", "2.16.1"),
        ("2.16.1", "2.16.1"),
        ("2.16.1", "2.17.0"),
        ("1.14.0", "2.16.1"),
        ("2.9.0", "2.16.1"),
        ("2.16.1", "2.9.0"),
        ("1.14", "1.14.0"),
        ("1.14.0", "1.14"),
        ("1.14.0.1", "1.14.0"),
        ("2.17.0", "2.17.0-rc1"),
        ("2.3.0", "2.3.0+local"),
        ("10.0.0", "9.9.9"),
        ("", "1.0.0"),
    ]
    cases = [{"needs": needs, "has": has, "runs": runs_in(needs, has)} for needs, has in pairs]
    return {"description": "An empty `needs` is min_runtime null in a manifest.", "cases": cases}


def histogram():
    """Confidences and latencies by bin, edges included."""
    rng = np.random.default_rng(5)
    sure = [*CONFIDENCE_EDGES, *np.nextafter(CONFIDENCE_EDGES[1:], 0), *rng.beta(5, 1, 100)]
    late = [*map(float, LATENCY_EDGES_US), *np.nextafter(LATENCY_EDGES_US[1:], 0), 1e7, *rng.gamma(2, 300, 100)]
    sure, late = ([float(value) for value in values] for values in (sure, late))
    return {
        "confidence_edges": list(CONFIDENCE_EDGES),
        "latency_edges_us": list(LATENCY_EDGES_US),
        "confidence": {"values": sure, "counts": counts(sure, CONFIDENCE_EDGES)},
        "latency_us": {"values": late, "counts": counts(late, LATENCY_EDGES_US, open_end=True)},
    }


def strict():
    """JSON that is read, and bytes that are refused, each with the reason."""
    accepted = [
        "{}",
        "[]",
        " \t\n{ } ",
        '{"a":{"a":1}}',
        '"\\u00e9\\ud83d\\ude00"',
        '"值"',
        "0",
        "-0",
        "-0.5e-3",
        "1E5",
    ]
    accepted += ["9223372036854775807", "-9223372036854775808", "true", "null", "[" * 32 + "]" * 32, '{"":0}', '"\\/"']
    refused = {
        "duplicate key": b'{"a":1,"a":1}',
        "duplicate key after an escape": b'{"a":1,"\\u0061":2}',
        "duplicate key deep inside": b'[{"x":{"k":0,"k":0}}]',
        "byte order mark": b"\xef\xbb\xbf{}",
        "UTF-16": '{"a":1}'.encode("utf-16"),
        "broken UTF-8": b'"\xff"',
        "overlong UTF-8": b'"\xc0\xaf"',
        "surrogate in UTF-8": b'"\xed\xa0\x80"',
        "half a surrogate pair": b'"\\ud800"',
        "low surrogate alone": b'"\\udc00x"',
        "NaN": b"[NaN]",
        "Infinity": b"-Infinity",
        "too large a number": b"1e400",
        "too large an integer": b"9223372036854775808",
        "leading zero": b"01",
        "leading plus": b"+1",
        "no digit after the point": b"1.",
        "no digit before the point": b".5",
        "hexadecimal": b"0x10",
        "trailing comma in an array": b"[1,]",
        "trailing comma in an object": b'{"a":1,}',
        "trailing content": b"{}{}",
        "zero byte at the end": b"{}\0",
        "comment": b"{} // no",
        "single quotes": b"{'a':1}",
        "key without quotes": b"{a:1}",
        "control character": b'"\n"',
        "unknown escape": b'"\\x41"',
        "cut escape": b'"\\u00"',
        "unclosed string": b'"abc',
        "unclosed object": b'{"a":1',
        "missing colon": b'{"a" 1}',
        "missing comma": b"[1 2]",
        "key is a number": b"{1:2}",
        "wrong closing": b"[1}",
        "wide space": "{}\u00a0".encode(),
        "form feed": b"\x0c{}",
        "capital True": b"True",
        "empty": b"",
        "only space": b"  ",
        "too deep": b"[" * 33 + b"]" * 33,
        "far too deep": b"[" * 5000 + b"]" * 5000,
    }
    said = [{"base64": text(content), "why": why} for why, content in refused.items()]
    return {"accepted": accepted, "refused": said}


def security():
    """A signature, and ciphertexts of passphrases with other letters than ASCII's; the private key is forgotten."""
    key, message = secure.new_key(), b'{"schema": "tfcompress.android/1"}\n'
    signature = {"public_key": secure.public_der(key), "message": message, "signature": secure.sign(message, key)}
    encryption = []
    for passphrase, iterations in (("tfcompress-demo", 600_000), ("密码 é🙂", 100_000), ("e\u0301", 100_000)):
        plain, aad = f"plain {passphrase}".encode(), "tfcompress:1:int8"
        cipher, header = secure.encrypt(plain, passphrase, aad, iterations)
        salt = base64.b64decode(header["kdf"]["salt"])
        encryption.append(
            {
                "passphrase": passphrase,
                "salt": header["kdf"]["salt"],
                "iterations": iterations,
                "key": text(secure.derive_key(passphrase, salt, iterations)),
                "nonce": header["nonce"],
                "aad": aad,
                "plain": text(plain),
                "cipher": text(cipher),
            }
        )
    return {"signature": {name: text(value) for name, value in signature.items()}, "encryption": encryption}


def parity(x_test):
    """Answers of every reference model to 256 pictures: digits, noise, inverted digits, grounds, points."""
    rng = np.random.default_rng(6)
    digits = pixels(x_test[:: len(x_test) // 192][:192])
    noise = rng.integers(0, 256, (32, 28, 28)).astype(np.uint8)
    grounds = np.full((8, 28, 28), np.linspace(0, 255, 8).astype(np.uint8)[:, None, None])
    points = np.zeros((8, 28, 28), np.uint8)
    points[np.arange(8), rng.integers(0, 28, 8), rng.integers(0, 28, 8)] = 255
    images = np.concatenate([digits, noise, 255 - digits[:16], grounds, points])
    x = (images.astype(np.float64) * SCALE + OFFSET).astype(np.float32)[..., None]
    folder, outputs, files = FOLDER / "parity", {}, {}
    for path in sorted(MODELS.glob("*.tflite")):
        artifact = Artifact.load(path)
        answers = artifact.predict_codes(x)
        content = answers.astype(answers.dtype.newbyteorder("<")).tobytes()
        files[folder / f"{path.stem}.bin"] = content
        outputs[path.stem] = {
            "file": f"{path.stem}.bin",
            "dtype": str(answers.dtype),
            "model_sha256": artifact.sha256,
            "sha256": hashlib.sha256(content).hexdigest(),
        }
    facts = {"count": IMAGES, "pixels_sha256": hashlib.sha256(images.tobytes()).hexdigest(), "outputs": outputs}
    return {**files, folder / "pixels.bin": images.tobytes(), folder / "parity.json": strict_json.write(facts)}


def text(content):
    """Bytes in base64."""
    return base64.b64encode(content).decode()


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
