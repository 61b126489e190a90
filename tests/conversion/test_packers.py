"""What is put into a file behind TensorFlow's converter, by mode."""

import numpy as np
import pytest

from tfcompress.conversion.packers import PACKERS
from tfcompress.conversion.ranges import find_ranges
from tfcompress.conversion.writing import write
from tfcompress.file_formats import FORMATS


def test_every_packer_belongs_to_a_mode():
    assert PACKERS and set(PACKERS) <= set(FORMATS)


def test_a_file_without_trained_ranges_is_left_as_it_is(small, conversion_of):
    conversion = conversion_of(small, "int16x8")
    find_ranges(conversion)
    assert conversion.seen == {}
    assert PACKERS["int16x8"](b"the file", conversion, {}) == b"the file"


def test_a_16_bit_file_has_the_scales_that_were_trained(small, conversion_of, trained, x):
    model = trained(small, 4 * x, "int16x8")
    conversion = conversion_of(model, "int16x8")  # its samples reach a quarter of the trained range
    find_ranges(conversion)
    artifact = write(conversion)
    first = conversion.state.ranges[0]
    largest = max(float(first.high), -float(first.low))
    assert artifact.inputs[0].scale == pytest.approx(largest / 32767, rel=1e-4)
    assert artifact.inputs[0].scale > 3 * np.abs(x).max() / 32767
