"""Makes the variables of loops int8, which TensorFlow's converter leaves float around a body of integer operations.

The converter puts a QUANTIZE where the body reads a variable and a DEQUANTIZE where it writes one. Here both move to
the other side of the loop's ends: the grid of what is written becomes that of the variable, a pair of casts with one
grid vanishes, one with two becomes a conversion between them, and operations that only move values move codes. Neither
changes a value. What does not vanish stays a float operation, which the check of integer files names.
"""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfcompress.tflite.loops.counters import drop_second_counter
from tfcompress.tflite.loops.graph_edit import GraphEdit, Grid
from tfcompress.tflite.loops.row_writes import with_single_writes
from tfcompress.tflite.optimizer.packing import pack_model, unpack_file
from tfcompress.tflite.schema.flatbuffer import read

# Operations that only move values, and the places of these values among the inputs; None for all of them.
_MOVES: dict[str, tuple[int, ...] | None] = {
    "RESHAPE": (0,), "SLICE": (0,), "STRIDED_SLICE": (0,), "GATHER": (0,), "TRANSPOSE": (0,), "SQUEEZE": (0,),
    "EXPAND_DIMS": (0,), "REVERSE_V2": (0,), "DYNAMIC_UPDATE_SLICE": (0, 1), "CONCATENATION": None, "PACK": None,
    "SELECT_V2": (1, 2), "SELECT": (1, 2), "SPLIT": (1,), "SPLIT_V": (0,), "UNPACK": (0,),
}  # fmt: skip
_REMOVED = frozenset({"QUANTIZE", "DEQUANTIZE", *_MOVES})


def with_integer_loops(content: bytes) -> bytes:
    """Makes the float variables of loops int8, where the body writes codes to them.

    Args:
        content: The bytes of a `.tflite` file as the converter made it.

    Returns:
        The bytes of a file with the same outputs; the same bytes where there is no such variable.

    Raises:
        ValueError: If the content is no such file.

    Example:
        >>> from tfcompress.tflite.loops.integer_loops import with_integer_loops
        >>> with_integer_loops(b"no file")
        Traceback (most recent call last):
        ValueError: not a .tflite file...
    """
    if not any(op.name == "WHILE" for graph in read(content).graphs for op in graph.ops):
        return content
    model = unpack_file(content)
    graphs = [GraphEdit(model, number) for number in range(len(model.subgraphs))]
    needs = [with_single_writes(graph) for graph in graphs]
    for graph in graphs:
        for op in [op for op in graph.ops if graph.name(op) == "WHILE"]:
            _make_variables_integer(graph, op, graphs)
    for graph in graphs:
        _match_moves(graph)
        while any([_moved_casts(graph), _merged_casts(graph)]):
            pass
        graph.remove_dead(_REMOVED)
    if any(needs):
        _raise_runtime(model)
    return pack_model(model)


def _make_variables_integer(graph: GraphEdit, loop: schema.OperatorT, graphs: list[GraphEdit]) -> None:
    cond, body = (graphs[n] for n in (loop.builtinOptions.condSubgraphIndex, loop.builtinOptions.bodySubgraphIndex))
    drop_second_counter(graph, loop, cond, body)
    while any(
        _make_integer(graph, loop, cond, body, place, grid)
        for place in range(len(loop.inputs))
        if (grid := _written_grid(graph, loop, body, place)) is not None
    ):
        pass


def _written_grid(graph: GraphEdit, loop: schema.OperatorT, body: GraphEdit, place: int) -> Grid | None:
    """Returns the grid of the codes that a body writes to a float variable; None for other variables."""
    end = body.graph.outputs[place]
    if not body.is_float(end):
        return None
    if end == body.graph.inputs[place]:  # a variable that no step changes has the grid of what enters the loop
        maker = graph.makers().get(loop.inputs[place])
        return graph.grid(maker.inputs[0]) if maker is not None and graph.name(maker) == "DEQUANTIZE" else None
    return _grid_behind(body, end, set())


def _grid_behind(graph: GraphEdit, tensor: int, seen: set[int]) -> Grid | None:
    """Returns the grid of the codes that a float tensor is made of, by operations that only move values."""
    maker = graph.makers().get(tensor)
    if maker is None or tensor in seen:
        return None
    seen.add(tensor)
    name = graph.name(maker)
    if name == "DEQUANTIZE":
        return graph.grid(maker.inputs[0])
    grids = {_grid_behind(graph, t, seen) for t in _moved(graph, maker)} - {None}
    return grids.pop() if len(grids) == 1 else None


def _moved(graph: GraphEdit, op: schema.OperatorT) -> list[int]:
    """Returns the tensors whose values an operation only moves; none for one that computes."""
    name = graph.name(op)
    if name not in _MOVES:
        return []
    places = _MOVES[name]
    return list(op.inputs) if places is None else [op.inputs[k] for k in places]


def _make_integer(
    graph: GraphEdit, loop: schema.OperatorT, cond: GraphEdit, body: GraphEdit, place: int, grid: Grid
) -> bool:
    """Makes one variable int8 at all its five places, with casts around the loop and at the ends of its graphs."""
    loop.inputs[place] = graph.cast(loop.inputs[place], grid, loop)
    float_result, loop.outputs[place] = loop.outputs[place], graph.new_tensor(loop.outputs[place], grid)
    made = graph.cast(loop.outputs[place], None, loop, behind=True)
    graph.replace(float_result, made)
    for inner in (cond, body):
        inputs = inner.graph.inputs
        before, inputs[place] = inputs[place], inner.new_tensor(inputs[place], grid)
        inner.replace(before, inner.cast(inputs[place], None, None))
    last = body.ops[-1]
    body.graph.outputs[place] = body.cast(body.graph.outputs[place], grid, last, behind=True)
    return True


def _match_moves(graph: GraphEdit) -> None:
    """Gives an operation that reverses codes an input on the grid of its output: the converter may give it two."""
    for op in [op for op in graph.ops if graph.name(op) == "REVERSE_V2"]:
        source, result = graph.grid(op.inputs[0]), graph.grid(op.outputs[0])
        if source is not None and result is not None and source != result:
            op.inputs[0] = graph.cast(op.inputs[0], result, op)


def _moved_casts(graph: GraphEdit) -> bool:
    """Moves the first DEQUANTIZE that was added, or comes with one, behind an operation that only moves its values."""
    makers = graph.makers()
    for op in graph.ops:
        moved = _moved(graph, op)
        if not moved or not all(graph.is_float(t) for t in moved):
            continue
        casts = [makers[t] for t in moved if t in makers]
        is_whole = all(t in makers or graph.constant(t) is not None for t in moved)
        if not is_whole or any(graph.name(c) != "DEQUANTIZE" for c in casts):
            continue
        grids = {graph.grid(c.inputs[0]) for c in casts}
        if len(grids) == 1 and None not in grids and any(id(c) in graph.added for c in casts):
            _move_codes(graph, op, next(iter(grids)), makers)
            return True
    return False


def _move_codes(graph: GraphEdit, op: schema.OperatorT, grid: Grid, makers: dict[int, schema.OperatorT]) -> None:
    for place, t in enumerate(op.inputs):
        if t >= 0 and graph.is_float(t) and t in _moved(graph, op):
            op.inputs[place] = makers[t].inputs[0] if t in makers else graph.cast(t, grid, op)
    for place, before in enumerate(op.outputs):
        op.outputs[place] = graph.new_tensor(before, grid)
        graph.replace(before, graph.cast(op.outputs[place], None, op, behind=True))
    graph.use(op, graph.name(op))


def _merged_casts(graph: GraphEdit) -> bool:
    """Lets each QUANTIZE read codes where it reads what a DEQUANTIZE or a constant gives."""
    makers, is_changed = graph.makers(), False
    for op in [op for op in graph.ops if graph.name(op) == "QUANTIZE" and graph.is_float(op.inputs[0])]:
        source, grid = op.inputs[0], graph.grid(op.outputs[0])
        before = makers.get(source)
        if grid is None:
            continue
        if before is None and graph.constant(source) is not None and id(op) in graph.added:
            graph.put_on(source := _copy(graph, source), grid)
        elif before is not None and graph.name(before) == "DEQUANTIZE" and graph.grid(before.inputs[0]) is not None:
            source = before.inputs[0]
        else:
            continue
        is_changed = True
        if graph.grid(source) == grid:
            graph.replace(op.outputs[0], source)
            op.outputs = [graph.new_tensor(op.outputs[0], grid)]  # read by nothing
        op.inputs = [source]
        graph.use(op, "QUANTIZE")
    graph.remove_dead(_REMOVED)
    return is_changed


def _copy(graph: GraphEdit, tensor: int) -> int:
    """Adds a copy of a constant: TensorFlow gives equal constants one tensor, whose readers may need two grids."""
    made = graph.new_tensor(tensor, None)
    graph.graph.tensors[made].buffer = graph.graph.tensors[tensor].buffer
    return made


_ROW_WRITES = "2.9.0"  # first TensorFlow Lite with DYNAMIC_UPDATE_SLICE: tools/versioning/runtime_version.cc


def _raise_runtime(model: schema.ModelT) -> None:
    """Notes the runtime that writes of single rows need, in place of an older one."""
    for entry in model.metadata or ():
        if entry.name == b"min_runtime_version":
            buffer = model.buffers[entry.buffer]
            held = bytes(bytearray(buffer.data if buffer.data is not None else b"")).rstrip(b"\0").decode()
            buffer.data = _padded(max(held, _ROW_WRITES, key=_release))


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _padded(text: str) -> np.ndarray:
    return np.frombuffer(text.encode().ljust(16, b"\0"), np.uint8)
