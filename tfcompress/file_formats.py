"""The table of file formats: one row for each mode of `tfc.convert`, with the integer codes it stores.

A new format, such as 4-bit weights, needs a row here and a packer in `conversion/packers.py`, which rewrites the file
that TensorFlow's converter makes.
"""

from dataclasses import dataclass

NEVER, UNLESS_TRAINED, ALWAYS = "never", "unless trained", "always"
"""When a format needs calibration data: the values of `FileFormat.calibration`."""


@dataclass(frozen=True)
class Codes:
    """The integer codes of a quantized tensor. Real value = scale * (code - zero point).

    Args:
        bits: Bits of a code.
        symmetric: Whether the zero point is 0.
        narrow: Whether the lowest code is left out, so that the codes are symmetric around 0.

    Example:
        >>> Codes(8, symmetric=True, narrow=True).limits, Codes(8).limits, Codes(8).steps
        ((-127, 127), (-128, 127), 255)
    """

    bits: int
    symmetric: bool = False
    narrow: bool = False

    @property
    def low(self) -> int:
        """Lowest code."""
        return -(2 ** (self.bits - 1)) + self.narrow

    @property
    def high(self) -> int:
        """Highest code."""
        return 2 ** (self.bits - 1) - 1

    @property
    def limits(self) -> tuple[int, int]:
        """Lowest and highest code."""
        return self.low, self.high

    @property
    def steps(self) -> int:
        """Steps from the lowest to the highest code."""
        return self.high - self.low

    @property
    def count(self) -> int:
        """Number of codes."""
        return self.steps + 1

    @property
    def unit(self) -> float:
        """Scale with which the codes cover -1 to just below 1."""
        return 2.0 ** (1 - self.bits)


@dataclass(frozen=True)
class FileFormat:
    """How the files of one mode store numbers.

    Args:
        mode: Name of the mode in `tfc.convert`.
        weights: Codes of the kernels; None for float ones.
        activations: Codes of the activations; None for float ones. A file with codes here is an integer file.
        bias_bits: Bits of a bias; None for float ones.
        kernels: LiteRT operations that multiply by such weights and add such a bias.
        io: Types that inputs and outputs may have, the default first.
        calibration: When a representative dataset is needed: `NEVER`, `UNLESS_TRAINED` or `ALWAYS`.
        only_integer: Whether an operation that stays float is an error, unless it was allowed.
        reads_ranges: Whether the converter reads ranges from the graph (FakeQuant nodes); otherwise only its
            calibrator sets them.
        optimizations: Names of `tf.lite.Optimize` for the converter.
        float_types: Names of the TensorFlow types that float weights are stored in; empty for float32.
        ops: Names of `tf.lite.OpsSet` that the converter may use; empty for its own choice.
        calibrated_ops: The same where its calibrator runs.
        may_abort: Whether LiteRT is known to crash on some such files, which are therefore first run in a process of
            their own.
    """

    mode: str
    weights: Codes | None = None
    activations: Codes | None = None
    bias_bits: int | None = None
    kernels: tuple[str, ...] = ()
    io: tuple[str, ...] = ("float32",)
    calibration: str = NEVER
    only_integer: bool = False
    reads_ranges: bool = False
    optimizations: tuple[str, ...] = ("DEFAULT",)
    float_types: tuple[str, ...] = ()
    ops: tuple[str, ...] = ()
    calibrated_ops: tuple[str, ...] = ()
    may_abort: bool = False

    @property
    def is_integer(self) -> bool:
        """Whether activations are integers."""
        return self.activations is not None


_WITH_BIAS = ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")
_WEIGHTS = Codes(8, symmetric=True, narrow=True)

_ROWS = (
    FileFormat("float32", optimizations=()),
    FileFormat("float16", float_types=("float16",)),
    FileFormat("dynamic", weights=_WEIGHTS),
    FileFormat(
        "int8",
        weights=_WEIGHTS,
        activations=Codes(8),
        bias_bits=32,
        kernels=_WITH_BIAS,
        io=("int8", "uint8", "float32"),
        calibration=UNLESS_TRAINED,
        only_integer=True,
        reads_ranges=True,
        calibrated_ops=("TFLITE_BUILTINS_INT8", "TFLITE_BUILTINS"),
    ),
    FileFormat(
        "int16x8",
        weights=_WEIGHTS,
        activations=Codes(16, symmetric=True, narrow=True),
        bias_bits=64,
        kernels=_WITH_BIAS,
        io=("int16", "float32"),
        calibration=ALWAYS,
        ops=("EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8",),
        may_abort=True,
    ),
)

FORMATS = {row.mode: row for row in _ROWS}
"""File formats by mode, in the order in which messages list them."""
MODES = tuple(FORMATS)
INT8 = FORMATS["int8"]
"""The format whose kernels the simulation reproduces exactly."""


def activations_of(bits: int | None) -> Codes | None:
    """Returns the codes of activations with that many bits in integer files; None where no format has them."""
    return next((row.activations for row in _ROWS if row.is_integer and row.activations.bits == bits), None)


def is_stored(weights: Codes) -> bool:
    """Whether some integer format stores weights with these codes."""
    return any(row.weights == weights for row in _ROWS if row.is_integer)


def mode_of(weight_bits: int | None, activation_bits: int | None) -> str:
    """Returns the mode that stores weights and activations of these bits; "int8" if none does, whose check then fails.

    Args:
        weight_bits: Bits of the weights; None for float ones.
        activation_bits: The same of activations.

    Example:
        >>> mode_of(8, 16), mode_of(8, None)
        ('int16x8', 'dynamic')
    """
    if activation_bits is None:
        return "dynamic"
    for row in _ROWS:
        if row.is_integer and (row.weights.bits, row.activations.bits) == (weight_bits, activation_bits):
            return row.mode
    return INT8.mode
