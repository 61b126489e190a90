"""Least numbers of inputs and outputs of the runtime's builtin operations, and which inputs may be absent.

Taken from the kernels of LiteRT. Other operations may have any number.
"""

from ai_edge_litert import schema_py_generated as schema

_ONE_TO_ONE = """
ABS AVERAGE_POOL_2D BITCAST CAST CEIL COS DEPTH_TO_SPACE DEQUANTIZE ELU EXP FLOOR GELU HARD_SWISH L2_NORMALIZATION
L2_POOL_2D LEAKY_RELU LOCAL_RESPONSE_NORMALIZATION LOG LOGICAL_NOT LOGISTIC LOG_SOFTMAX MAX_POOL_2D NEG QUANTIZE RANK
RELU RELU6 RELU_0_TO_1 RELU_N1_TO_1 RESHAPE ROUND RSQRT SHAPE SIGN SIN SOFTMAX SPACE_TO_DEPTH SQRT SQUARE SQUEEZE TANH
UNPACK WHERE ZEROS_LIKE ADD_N CONCATENATION PACK
"""
_TWO_TO_ONE = """
ADD ARG_MAX ARG_MIN ATAN2 BATCH_MATMUL BITWISE_XOR BROADCAST_ARGS BROADCAST_TO CONV_2D CONV_3D CUMSUM
DEPTHWISE_CONV_2D DIV EMBEDDING_LOOKUP EQUAL EXPAND_DIMS FILL FLOOR_DIV FLOOR_MOD FULLY_CONNECTED GATHER GATHER_ND
GREATER GREATER_EQUAL LESS LESS_EQUAL LOGICAL_AND LOGICAL_OR MATRIX_SET_DIAG MAXIMUM MEAN MINIMUM MIRROR_PAD MUL
NOT_EQUAL PAD POW PRELU REDUCE_ALL REDUCE_ANY REDUCE_MAX REDUCE_MIN REDUCE_PROD RESIZE_BILINEAR
RESIZE_NEAREST_NEIGHBOR REVERSE_SEQUENCE REVERSE_V2 RIGHT_SHIFT SPLIT SQUARED_DIFFERENCE SUB SUM TILE TRANSPOSE
"""
_THREE_TO_ONE = """
BATCH_TO_SPACE_ND CONV_3D_TRANSPOSE DYNAMIC_UPDATE_SLICE PADV2 RANGE SCATTER_ND SELECT SELECT_V2 SLICE
SPACE_TO_BATCH_ND SPLIT_V TRANSPOSE_CONV
"""
# Least number of inputs and outputs by operation.
LEAST: dict[str, tuple[int, int]] = {
    **dict.fromkeys(_ONE_TO_ONE.split(), (1, 1)),
    **dict.fromkeys(_TWO_TO_ONE.split(), (2, 1)),
    **dict.fromkeys(_THREE_TO_ONE.split(), (3, 1)),
    **dict.fromkeys(("ONE_HOT", "STRIDED_SLICE", "SPARSE_TO_DENSE"), (4, 1)),
    "TOPK_V2": (2, 2),
    "UNIQUE": (1, 2),
    "SVDF": (5, 1),
    "UNIDIRECTIONAL_SEQUENCE_RNN": (5, 1),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (20, 1),
    "BIDIRECTIONAL_SEQUENCE_LSTM": (48, 1),
    "BIDIRECTIONAL_SEQUENCE_RNN": (12, 1),
    "IF": (1, 0),
    "NON_MAX_SUPPRESSION_V4": (5, 2),
    "NON_MAX_SUPPRESSION_V5": (6, 3),
}

# Positions of inputs that may be absent (-1).
_LSTM = (1, 5, *range(9, 13), 16, 17, *range(20, 24))
OPTIONAL: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "CONV_3D"), (2,)),
    **dict.fromkeys(("TRANSPOSE_CONV", "CONV_3D_TRANSPOSE"), (3,)),
    "SVDF": (3,),
    "LSTM": tuple(range(1, 24)),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _LSTM,
    "BIDIRECTIONAL_SEQUENCE_LSTM": tuple(range(1, 48)),
    "BIDIRECTIONAL_SEQUENCE_RNN": tuple(range(1, 12)),
}

# Dimensions of inputs that are kernels, by operation and position.
RANKS: dict[str, dict[int, int]] = {
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"), {1: 4}),
    **dict.fromkeys(("CONV_3D", "CONV_3D_TRANSPOSE"), {1: 5}),
    "FULLY_CONNECTED": {1: 2},
}

_REDUCERS = ("MEAN", "SUM", "REDUCE_ALL", "REDUCE_ANY", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD")
_NAMED = {
    **dict.fromkeys(("AVERAGE_POOL_2D", "L2_POOL_2D", "MAX_POOL_2D"), "Pool2DOptions"),
    **dict.fromkeys(_REDUCERS, "ReducerOptions"),
}


def options_kind(name: str) -> str:
    """Returns the schema's kind of options of an operation, which follows from its name.

    Example:
        >>> options_kind("DEPTHWISE_CONV_2D"), options_kind("MEAN")
        ('DepthwiseConv2DOptions', 'ReducerOptions')
    """
    words = (word if word[0].isdigit() else word.capitalize() for word in name.split("_"))
    return _NAMED.get(name) or "".join(words) + "Options"


# Operations that run other graphs: kind of their options and the fields that hold the graphs' numbers.
_CALLS: dict[str, tuple[str, tuple[str, ...]]] = {
    "CALL": ("CallOptions", ("Subgraph",)),
    "CALL_ONCE": ("CallOnceOptions", ("InitSubgraphIndex",)),
    "IF": ("IfOptions", ("ThenSubgraphIndex", "ElseSubgraphIndex")),
    "WHILE": ("WhileOptions", ("CondSubgraphIndex", "BodySubgraphIndex")),
    "STABLEHLO_COMPOSITE": ("StableHLOCompositeOptions", ("DecompositionSubgraphIndex",)),
    "STABLEHLO_REDUCE": ("StablehloReduceOptions", ("BodySubgraphIndex",)),
    "STABLEHLO_REDUCE_WINDOW": ("StablehloReduceWindowOptions", ("BodySubgraphIndex",)),
    "STABLEHLO_SCATTER": ("StablehloScatterOptions", ("UpdateComputationSubgraphIndex",)),
    "STABLEHLO_SORT": ("StablehloSortOptions", ("ComparatorSubgraphIndex",)),
    "STABLEHLO_WHILE": ("StablehloWhileOptions", ("CondSubgraphIndex", "BodySubgraphIndex")),
}
_KINDS = {code for code in vars(schema.BuiltinOptions).values() if isinstance(code, int)} - {0}


def called_graphs(op: schema.Operator, index: int, name: str) -> list[int]:
    """Returns the numbers of the graphs that an operation runs.

    Args:
        op: The operation as stored.
        index: Its number.
        name: Its builtin name.

    Returns:
        The numbers; whether these graphs exist is not checked.

    Raises:
        ValueError: If its options are those of another operation.
    """
    table, kind = op.BuiltinOptions(), op.BuiltinOptionsType()
    expected = getattr(schema.BuiltinOptions, options_kind(name), 0)
    if table is not None and expected and kind in _KINDS - {expected}:  # a newer kind is left to the runtime
        raise ValueError(f"operation {index} ({name}) has the options of another operation")
    if name not in _CALLS:
        return []
    options_name, fields = _CALLS[name]
    if not hasattr(schema.BuiltinOptions, options_name):
        table, kind = op.BuiltinOptions2(), op.BuiltinOptions2Type()
        expected = getattr(schema.BuiltinOptions2, options_name)
    if table is None or kind != expected:
        raise ValueError(f"operation {index} ({name}) does not say which graph it runs")
    options = getattr(schema, options_name)()
    options.Init(table.Bytes, table.Pos)
    return [getattr(options, field)() for field in fields]
