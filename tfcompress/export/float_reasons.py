"""Why an operation of a file stays float, and what to do about it."""

import tensorflow as tf

_ALLOW = "or keep it float with allow_float=[{0!r}]"

# LiteRT has no int8 kernel of these, or TensorFlow's converter never uses it
_NEVER = {
    "ELU": "LiteRT has no int8 ELU inside a loop: use relu or tanh there",
    "CONV_3D_TRANSPOSE": "LiteRT has no int8 Conv3DTranspose: fold a dimension into the channels",
    "MaxPool3D": "LiteRT has no MaxPooling3D with channels first: put channels last",
    "AvgPool3D": "LiteRT has no AveragePooling3D with channels first: put channels last",
    "NOT_EQUAL": "LiteRT compares floats here (Masking, isnan): mask by zeros, before layers that do not read the mask",
    "CONV_3D": "LiteRT has no int8 Conv3D: fold a dimension into the channels and use Conv2D",
    "NEG": "LiteRT has no int8 negation: multiply by -1, or use the Keras layer of that name",
    "SQUARE": "LiteRT has no int8 square: multiply the value by itself, or use the Keras layer of that name",
    "SIN": "LiteRT has no int8 sine: replace it",
    "COS": "LiteRT has no int8 cosine: replace it",
    "CAST": "integers become floats here, or floats integers, which no integer file can do between its layers: let the "
    "layer work on one type",
    "RANDOM_STANDARD_NORMAL": "LiteRT draws random numbers in float only: make the noise an input of the model",
    "RANDOM_UNIFORM": "LiteRT draws random numbers in float only: make the noise an input of the model",
    "BUCKETIZE": "LiteRT has no integer Bucketize: use keras.layers.Discretization",
    "POW": "LiteRT has no int8 power: write a whole power as a product",
    "RFFT2D": "LiteRT transforms floats only: compute the spectrum in the app and give it to the model",
    "REAL": "LiteRT has complex numbers of floats only: compute the spectrum in the app and give it to the model",
    "IMAG": "LiteRT has complex numbers of floats only: compute the spectrum in the app and give it to the model",
    "COMPLEX_ABS": "LiteRT has complex numbers of floats only: compute the spectrum in the app",
    "WHILE": "a variable of this loop stays float: unroll it, or use a layer of Keras",
    "IF": "LiteRT's branches run in float: compute both sides and select",
    "ONE_HOT": "LiteRT has no int8 one-hot: use keras.ops.one_hot or CategoryEncoding",
}  # fmt: skip
_PLAIN = (
    "FLOOR CEIL ROUND CUMSUM FLOOR_MOD FLOOR_DIV ATAN2 SIGN LOCAL_RESPONSE_NORMALIZATION NON_MAX_SUPPRESSION_V4 "
    "NON_MAX_SUPPRESSION_V5 SEGMENT_SUM UNSORTED_SEGMENT_SUM UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_MIN MULTINOMIAL "
    "SCATTER_ND L2_POOL_2D ZEROS_LIKE MATRIX_DIAG MATRIX_SET_DIAG REVERSE_SEQUENCE UNIQUE RANGE"
).split()


# Operations known to stay float before a file is made; the converter may make those left out here integer after all
_BEFOREHAND = {
    name.replace("_", "").lower(): name
    for name in (*_NEVER, *_PLAIN)
    if name not in ("ELU", "CAST", "WHILE", "IF", "ONE_HOT", "RANGE", "ZEROS_LIKE")
}


# The first release of TensorFlow whose converter makes an operation integer that those before leave float.
_SINCE = {"DIV": "2.20", "SQRT": "2.21"}


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])


def named(op: str) -> str | None:
    """Returns LiteRT's name of a TensorFlow operation (`Conv3D`) that stays float; None for one that may not."""
    return _BEFOREHAND.get(op.lower())


def is_never_integer(op: str) -> bool:
    """Returns whether an operation stays float in every int8 file."""
    return op in _NEVER or op in _PLAIN


def never_integer_reason(op: str) -> str:
    """Returns reason and remedy for an operation that has no integer kernel."""
    reason = _NEVER.get(op, "LiteRT has no int8 kernel for it: replace it, or move it out of the model")
    return f"{reason}, {_ALLOW.format(op)}"


def stayed_float_reason(op: str, calibrated: bool) -> str:
    """Returns reason and remedy for an operation that has an integer kernel and stayed float.

    Args:
        op: The operation.
        calibrated: Whether the converter had calibration data.
    """
    if not calibrated:
        return (
            "the layer computes several operations, and training put a range only behind the last: pass "
            "calibration=x[:200], from which the converter measures the values in between"
        )
    reason = "the converter leaves it float although it saw samples"
    if op in ("QUANTIZE", "DEQUANTIZE"):
        reason = "the converter takes a detour through float here"
    if op in _SINCE and _release(tf.__version__) < _release(_SINCE[op]):
        return (
            f"the converter of TensorFlow {tf.__version__} leaves it float, that of TensorFlow {_SINCE[op]} makes it "
            f"integer: install that (pip install 'tensorflow>={_SINCE[op]}'), {_ALLOW.format(op)}"
        )
    return f"{reason}: write the layer in other operations, {_ALLOW.format(op)}"
