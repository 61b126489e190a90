"""Flags for data: factors are numbers or fractions; values are scaled where inputs are floats."""

import numpy as np
import pytest
from absl import flags

from tfcompress.cli.data_flags import define_data, define_scaling, factor_of, read_flag, read_scaled

X = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
INPUT = [("image", (3, 4), "float32")]


@pytest.fixture
def given(tmp_path, monkeypatch):
    """Parses the flags of a command that has data."""
    monkeypatch.chdir(tmp_path)

    def parse(*arguments):
        values = flags.FlagValues()
        define_data(values, "data", "Data")
        define_scaling(values)
        flags.DEFINE_integer("verbose", 1, "", flag_values=values)
        values(["command", *arguments])
        return values

    return parse


@pytest.mark.parametrize("scale, value", [("1/255", 1 / 255), ("0.5", 0.5), ("2", 2.0)])
def test_factors(scale, value):
    assert factor_of(scale) == value


@pytest.mark.parametrize("scale", ["", "a", "1/0", "1:2"])
def test_no_factor(scale):
    with pytest.raises(ValueError, match="--scale must be a number or a fraction"):
        factor_of(scale)


def test_scale_turns_bytes_into_fractions(given):
    np.savez("a.npz", x_train=X, x_test=X[:1])
    data = read_scaled(given("--data=a.npz", "--scale=1/23", "--offset=-1"), INPUT)
    np.testing.assert_allclose(data.x, X / 23 - 1, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(data.x_test, data.x[:1])
    assert data.x.dtype == data.x_test.dtype == np.float32
    assert read_flag(given("--data=a.npz"), "data", INPUT).x.dtype == np.uint8  # untouched


def test_token_ids_beside_floats_stay(given):
    np.savez("a.npz", ids=np.arange(6).reshape(2, 3), image=X)
    data = read_scaled(given("--data=a.npz", "--scale=2"), [("ids", (3,), "int32"), *INPUT])
    np.testing.assert_array_equal(data.x["ids"], np.arange(6).reshape(2, 3))
    np.testing.assert_array_equal(data.x["image"], 2.0 * X)
    with pytest.raises(ValueError, match="input 'ids' takes int32 numbers as they are"):
        read_scaled(given("--data=a.npz", "--scale=2"), [("ids", (3,), "int32")])


def test_classes_are_told_once(given, capsys):
    with open("a.csv", "w") as file:
        file.write("a,label\n1,cat\n2,ant\n")
    read_flag(given("--data=a.csv"), "data", [("a", (1,), "float32")])
    assert "a.csv: classes 0 ant, 1 cat" in capsys.readouterr().err
    read_flag(given("--data=a.csv", "--verbose=0"), "data", [("a", (1,), "float32")])
    assert capsys.readouterr().err == ""
