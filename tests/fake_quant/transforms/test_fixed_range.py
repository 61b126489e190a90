"""The range of an input of bytes: every value has its code, and no data move it."""

import keras
import numpy as np

from tfcompress.fake_quant.transforms.fixed_range import FixedRange


def test_every_byte_stays_what_it_is():
    x = np.arange(256, dtype="float32")
    span = FixedRange()
    for how in ("train", "observe", "apply"):
        assert np.array_equal(span(x[:7] * 3, how=how), x[:7] * 3)
    assert np.array_equal(span(x), x) and span.limits() == (0.0, 255.0) and span.is_set


def test_it_is_rebuilt_by_keras():
    span = FixedRange(-128.0, 127.0)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(span))
    assert again.limits() == (-128.0, 127.0)
