"""The table of kernels with narrow weights: which widths an operation of the runtime computes right, and since when.

Below eight bits "loads and runs" proves nothing: kernels that do not know packed weights read their bytes as int8 and
answer without an error. So this is a list of what is right. `tests/tflite/kernels/test_table.py` runs every
combination against NumPy in the installed runtime, `tests/bench/kernels.py` in any list of runtimes.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kernel:
    """A kernel that computes right with weights of some width.

    Versions are numbers of TensorFlow, as `.tflite` files state them (`min_runtime`). LiteRT 1.0 is 2.18 of them, 1.1
    and 1.2 are 2.19, 1.4 is 2.20, 2.1 is 2.21.

    Args:
        op: LiteRT's name of the operation.
        weights: Type of the weights.
        activations: Type of the other input; that of the output for lookups of rows.
        per_channel: Whether the weights have several scales.
        since: First version that computes it right, with and without XNNPACK.
        fast_since: First version whose XNNPACK takes it; empty where none does.
        most_rank: Highest rank of the activations for which the row holds; None for any.
        has_even_rows: Whether the rows of the weights must fill whole bytes.
    """

    op: str
    weights: str
    activations: str
    per_channel: bool
    since: str
    fast_since: str = ""
    most_rank: int | None = None
    has_even_rows: bool = False


def _both(op: str, weights: str, activations: str, since: str, has_even_rows: bool = False) -> tuple[Kernel, Kernel]:
    """The rows for one scale and for several."""
    made = [Kernel(op, weights, activations, each, since, has_even_rows=has_even_rows) for each in (False, True)]
    return made[0], made[1]


KERNELS = (
    *_both("CONV_2D", "int4", "int8", "2.14"),
    *_both("CONV_2D", "int4", "int16", "2.19"),
    *_both("CONV_2D", "int4", "float32", "2.19"),
    *_both("DEPTHWISE_CONV_2D", "int4", "int8", "2.14"),
    Kernel("FULLY_CONNECTED", "int8", "int16", True, "1.15", most_rank=2),
    Kernel("FULLY_CONNECTED", "int8", "int16", True, "2.19"),
    Kernel("FULLY_CONNECTED", "int4", "int8", False, "2.14", "2.21"),
    Kernel("FULLY_CONNECTED", "int4", "int8", True, "2.19", "2.20"),
    Kernel("FULLY_CONNECTED", "int4", "int16", False, "2.18"),
    Kernel("FULLY_CONNECTED", "int4", "int16", True, "2.19"),
    Kernel("FULLY_CONNECTED", "int4", "float32", False, "2.20", "2.21"),
    Kernel("FULLY_CONNECTED", "int4", "float32", True, "2.18", "2.18"),
    Kernel("FULLY_CONNECTED", "int2", "int8", False, "2.21"),
    Kernel("FULLY_CONNECTED", "int2", "int8", True, "2.21", "2.21"),
    *_both("FULLY_CONNECTED", "int2", "int16", "2.21"),
    Kernel("FULLY_CONNECTED", "int2", "float32", False, "2.21"),
    Kernel("FULLY_CONNECTED", "int2", "float32", True, "2.21", "2.21"),
    Kernel("BATCH_MATMUL", "int8", "int16", False, "2.21"),
    *_both("EMBEDDING_LOOKUP", "int4", "float32", "2.18", has_even_rows=True),
    *_both("EMBEDDING_LOOKUP", "int2", "float32", "2.21", has_even_rows=True),
    Kernel("GATHER", "int4", "int8", False, "2.18", has_even_rows=True),
    *_both("DEQUANTIZE", "int4", "float32", "2.18"),
    *_both("DEQUANTIZE", "int2", "float32", "2.21"),
)
"""All rows; where two fit, the first one holds. Weights of int8 with activations of int8 or float need none."""


def kernel_for(op: str, weights: str, activations: str, per_channel: bool, rank: int, is_even: bool) -> Kernel | None:
    """Returns the row of an operation, or None if there is none: its answers are not known to be right.

    Args:
        op: LiteRT's name of the operation.
        weights: Type of the weights.
        activations: Type of the other input, or of the output of a lookup.
        per_channel: Whether the weights have several scales.
        rank: Rank of the activations.
        is_even: Whether each row of the weights fills whole bytes.

    Example:
        >>> kernel_for("FULLY_CONNECTED", "int2", "int8", True, 2, True).since
        '2.21'
        >>> kernel_for("DEPTHWISE_CONV_2D", "int4", "int16", True, 4, True) is None
        True
    """
    wanted = op, weights, activations, per_channel
    for row in KERNELS:
        has_rank = row.most_rank is None or rank <= row.most_rank
        if (row.op, row.weights, row.activations, row.per_channel) == wanted and has_rank:
            return row if is_even or not row.has_even_rows else None
    return None
