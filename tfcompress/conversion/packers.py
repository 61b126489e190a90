"""Packers: what a format changes in the file that TensorFlow's converter makes, by mode.

A packer is a function `(content, conversion, layers) -> content`; `layers` leads the index of an operation (as text) to
the path of its layer.
"""

from tfcompress.conversion.int16_ranges import with_trained


def _int16_scales(content: bytes, conversion, layers) -> bytes:
    """Gives activations the scales that were trained for 16 bits; the calibrator's stay where none were."""
    if not conversion.seen:
        return content
    return with_trained(content, conversion.state, conversion.seen, layers)


PACKERS = {"int16x8": _int16_scales}
