"""Where the activation ranges of a file come from, and what is refused."""

import keras
import numpy as np
import pytest

from tfcompress.conversion.conversion import Ranges
from tfcompress.conversion.ranges import find_ranges
from tfcompress.export.unconvertible import NotConvertible


def test_a_float_file_needs_no_ranges(small, conversion_of):
    conversion = conversion_of(small, "float16", samples=None)
    find_ranges(conversion)
    assert conversion.ranges is Ranges.NONE and conversion.state is None and conversion.notes == []


def test_samples_set_the_ranges_of_a_model_that_was_not_trained_for_it(small, conversion_of, x):
    conversion = conversion_of(small)
    find_ranges(conversion)
    assert conversion.ranges is Ranges.CALIBRATED
    first = conversion.state.ranges[0]
    assert float(first.low) == pytest.approx(x.min(), abs=0.05)
    assert float(first.high) == pytest.approx(x.max(), abs=0.05)
    assert any("calibration" in note for note in conversion.notes)


def test_a_percentile_leaves_outliers_out(small, conversion_of, x):
    far = x.copy()
    far[0, 0, 0, 0] = 1000.0
    whole, most = (conversion_of(small, samples=far, percentile=p) for p in (None, 99.0))
    find_ranges(whole)
    find_ranges(most)
    assert float(whole.state.ranges[0].high) > 900.0 and float(most.state.ranges[0].high) < 100.0


def test_trained_ranges_are_taken_as_they_are(small, conversion_of, trained, x):
    model = trained(small, x, "int8")
    conversion = conversion_of(model, samples=100 * x)
    find_ranges(conversion)
    assert conversion.ranges is Ranges.TRAINED
    assert float(conversion.state.ranges[0].high) < 10.0  # the samples do not move them


def test_ranges_trained_for_16_bits_note_the_largest_values_of_the_samples(small, conversion_of, trained, x):
    conversion = conversion_of(trained(small, x, "int16x8"), "int16x8")
    find_ranges(conversion)
    assert conversion.ranges is Ranges.TRAINED
    largest = conversion.seen[id(conversion.state.ranges[0])]
    assert largest == pytest.approx(np.abs(x).max(), rel=1e-3)


@pytest.mark.parametrize(
    "scheme, mode, sentence",
    [
        ("w4a8", "int8", r"trained were \['conv/kernel \(4 bits\)'"),
        ("int8", "int16x8", r"activations of .* \(8 bits\)"),
        ("int16x8", "int8", r"activations of .* \(16 bits\)"),
    ],
)
def test_other_codes_than_those_of_the_file_are_refused(small, conversion_of, trained, x, scheme, mode, sentence):
    with pytest.raises(ValueError, match=f"a file of mode '{mode}' holds .*{sentence}.*train with tfc.Quantize"):
        find_ranges(conversion_of(trained(small, x, scheme), mode))


def test_a_percentile_of_trained_ranges_is_refused_with_a_way_out(small, conversion_of, trained, x):
    with pytest.raises(ValueError, match=r"percentile .* were trained. Train with tfc.Quantize\('int8', ranges="):
        find_ranges(conversion_of(trained(small, x, "int8"), percentile=99.0))


@pytest.mark.parametrize("mode", ["int8", "int16x8"])
def test_missing_samples_are_refused_with_a_way_out(small, conversion_of, mode):
    with pytest.raises(ValueError, match=rf"mode '{mode}' needs calibration data.*Pass calibration=x\[:200\]"):
        find_ranges(conversion_of(small, mode, samples=None))


def test_integer_inputs_of_a_16_bit_file_are_refused_by_name(conversion_of):
    model = keras.Sequential([keras.Input((4,), dtype="int32", name="words"), keras.layers.Embedding(5, 2)])
    with pytest.raises(NotConvertible, match=r"'int16x8' takes float inputs only, .*'words' \(int32\)"):
        find_ranges(conversion_of(model, "int16x8", samples=np.zeros((4, 4), "int32")))
