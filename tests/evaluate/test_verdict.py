"""The verdict of a comparison says what was won and lost, in the direction in which it went."""

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.evaluate.verdict import verdict

BEFORE = {"name": "original", "bytes": 1000, "gzip_bytes": 900, "accuracy": 0.9, "p50_us": 20.0}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "4.0 times smaller (9.0 zipped), accuracy 88.00 % (-2.00 points), 2.0 times faster on this machine"),
        (
            {"bytes": 2000},
            "2.0 times larger (9.0 times smaller zipped), accuracy 88.00 % (-2.00 points), 2.0 times faster",
        ),
        ({"p50_us": 40.0}, "(-2.00 points), 2.0 times slower on this machine"),
        ({"p50_us": 20.5}, "(-2.00 points), as fast as before on this machine"),
        ({"p50_us": None}, "4.0 times smaller (9.0 zipped), accuracy 88.00 % (-2.00 points)"),
        ({"accuracy": None, "agreement": 0.995}, "the same class on 99.50 % of the samples"),
        ({"bytes": None, "gzip_bytes": None}, "f: accuracy 88.00 % (-2.00 points)"),
    ],
)
def test_it_tells_the_direction(changes, said):
    row = {"name": "f", "bytes": 250, "gzip_bytes": 100, "accuracy": 0.88, "p50_us": 10.0, **changes}
    assert said in verdict(row, BEFORE)


def test_a_regression_tells_both_errors():
    row, before = ({"name": n, "bytes": 4, "gzip_bytes": 4, "error": e} for n, e in (("f", 0.25), ("original", 0.125)))
    assert verdict(row, before).endswith("mean error 0.25 (original 0.125)")


def test_it_leads_the_text_of_a_comparison(tiny_data):
    x, y = tiny_data
    layers = [keras.layers.Flatten(), keras.layers.Dense(64, activation="relu"), keras.layers.Dense(3)]
    model = keras.Sequential([keras.Input((8, 8, 1)), *layers])
    files = {"int8": tfc.convert(model, calibration=x[:32]), "float16": tfc.convert(model, "float16")}
    compared = tfc.compare(model, files, (x, y), latency=False, verbose=0)
    first, second = compared.text().splitlines()[:2]
    weights = 4 * sum(int(np.prod(w.shape)) for w in model.weights)
    assert first.startswith(f"int8: {weights / files['int8'].size:.1f} times smaller (")
    right = float(np.mean(files["float16"].predict(x).argmax(-1) == y))
    assert second.startswith("float16: ") and f"accuracy {100 * right:.2f} %" in second
    assert compared.verdict("int8") == first and compared.markdown().startswith(f"- {first}\n")


def test_both_sizes_are_said_in_one_direction_or_in_words():
    original = {"name": "original", "bytes": 100, "gzip_bytes": 90}
    assert verdict({"name": "a", "bytes": 200, "gzip_bytes": 180}, original) == "a: 2.0 times larger (2.0 zipped)"
    assert (
        verdict({"name": "a", "bytes": 200, "gzip_bytes": 45}, original)
        == "a: 2.0 times larger (2.0 times smaller zipped)"
    )
