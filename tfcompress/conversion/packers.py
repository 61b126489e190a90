"""Packers change the file that TensorFlow's converter makes, where a format needs it; by mode.

A packer is a function `(content, conversion, layers) -> content`; `layers` maps the index of an operation (as text) to
the path of its layer.
"""

from tfcompress.conversion.int16_ranges import write_trained_scales


def _int16_scales(content: bytes, conversion, layers) -> bytes:
    """Gives activations the scales that were trained for 16 bits; without training they keep the calibrator's."""
    if not conversion.seen:
        return content
    return write_trained_scales(content, conversion.state, conversion.seen, layers)


PACKERS = {"int16x8": _int16_scales}
