"""Writes ranges that were trained for 16 bits into a file with int16 activations.

TensorFlow makes such files by calibration only: it takes FakeQuant nodes for 8 bits. So the file is calibrated, the
same bounds are observed on the simulation, and each activation whose scale comes from the bounds of a range gets the
scale that was trained. Biases change with it: their scale is input scale times weight scale.
"""

from collections.abc import Mapping

import flatbuffers
import keras
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfcompress.export.post_training import quantized_state
from tfcompress.export.simulate import observe
from tfcompress.fake_quant.op_plan import OpPlan
from tfcompress.fake_quant.state import CompressionState
from tfcompress.fake_quant.transforms.ranges import ActivationRange
from tfcompress.file_formats import FORMATS, FileFormat
from tfcompress.graph.tree import leaves
from tfcompress.layer_table.lookup import spec_of
from tfcompress.tflite.schema.flatbuffer import IDENTIFIER, read

_CODES = FORMATS["int16x8"].activations
_SAME = 2e-4  # between a bound that TensorFlow saw and the same one here; float sums differ by less


def attention_plans(model: keras.Model, file_format: FileFormat, samples):
    """Returns the operation plans that a file calibrated for 16 bits needs: those of attention layers.

    With them the large negative numbers of an attention mask do not widen the range of the scores.

    Args:
        model: A model that was not quantized in training.
        file_format: What the file will hold.
        samples: Calibration samples.

    Returns:
        The operation plans, or None where there is no such layer, or the graph can't be followed.
    """
    if not any(_rounds_parts(op) for _, op in leaves(model)):
        return None
    try:
        state = quantized_state(model, lambda op: False, file_format=file_format)
    except ValueError:  # as it is, then
        return None
    kept = [
        OpPlan(t.path, t.op, t.index, written=True, inside=t.inside)
        for t in state.op_plans
        if t.written and _rounds_parts(t.op)
    ]
    found = CompressionState(kept)
    observe(model, found, samples)
    return found


def _rounds_parts(op) -> bool:
    """Whether an operation has parts with ranges; the steps of recurrent layers have those of the calibrator here."""
    return bool(spec_of(op).within) and not spec_of(op).step


def observe_largest_values(model: keras.Model, state, samples) -> dict[int, float]:
    """Returns the largest absolute value that calibration samples show at each range, by `id(range)`.

    New ranges observe in place of the trained ones, which stay as they are.
    """
    twins = {id(span): ActivationRange(_CODES.bits, symmetric=True) for span in state.ranges}
    twins[id(None)] = None

    def twin(span):
        return twins[id(span)]

    looking = [t.mapped(ranges=twin) for t in state.op_plans]
    observe(model, CompressionState(looking, [twin(span) for span in state.inputs]), samples)
    return {id(span): max(abs(bound) for bound in twin(span).limits()) for span in state.ranges}


def write_trained_scales(content: bytes, state, seen: Mapping[int, float], layers: Mapping[str, str]) -> bytes:
    """Gives the activations of a calibrated file the scales that were trained.

    Args:
        content: The file.
        state: The operation plans, with trained symmetric ranges.
        seen: What `observe_largest_values` returned for the samples the file was calibrated with.
        layers: Index of an operation (as text) to the path of its layer.

    Returns:
        The file.

    Raises:
        ValueError: If a trained range belongs to no activation of the file.
    """
    graph = read(content).graphs[0]
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    paths = {id(t.op): t.path for t in state.op_plans}
    carriers = {paths[id(t.norm)]: t.path for t in state.op_plans if t.norm is not None}
    new = _new_scales(graph, state.ranges, seen, layers, carriers)
    changed = {t.index: new[t.scale[0]] for t in _activations(graph) if t.scale[0] in new}
    for op in graph.ops:  # the operand of a concatenation takes the scale that it is requantized to
        if op.name == "QUANTIZE" and op.outputs[0] in changed:
            changed.setdefault(op.inputs[0], changed[op.outputs[0]])
    for index, scale in changed.items():
        model.subgraphs[0].tensors[index].quantization.scale = np.asarray([scale], np.float32)
    for op in graph.ops:
        if op.name in FORMATS["int16x8"].kernels:
            _bias(model, graph, op, changed)
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def _activations(graph):
    """Returns the quantized activations except those whose scale LiteRT fixes (Softmax, sigmoid, tanh)."""
    found = [t for t in graph.tensors if t.dtype == "int16" and not t.is_constant and t.scale is not None]
    return [t for t in found if abs(float(t.scale[0]) / _CODES.unit - 1.0) > 1e-6]


def _new_scales(graph, spans, seen, layers, carriers) -> dict[float, float]:
    """Maps old scales to new ones; activations of one scale get one, the widest that was trained for any of them."""
    found = {t.scale[0]: [] for t in _activations(graph)}
    merged, lost = {}, []
    for span in spans:
        fits = [s for s in found if abs(float(s) * _CODES.high - seen[id(span)]) <= _SAME * seen[id(span)]]
        for s in fits:
            found[s].append(span.limits()[1])
        if not fits and seen[id(span)] > 0:
            # TensorFlow gives the operands and the result of a 16-bit sum one scale
            path = span.title.rsplit(" (", 1)[0]
            wider = _wider(graph, carriers.get(path, path), seen[id(span)], layers)
            merged |= {s: max(span.limits()[1], merged.get(s, 0.0)) for s in wider}
            lost += [] if wider else [span.title]
    if lost:
        raise ValueError(
            f"convert: the 16-bit file has no activations for the trained ranges of {lost[:4]}"
            f"{' and more' if len(lost) > 4 else ''}; TensorFlow made other operations of these layers. Train with "
            "tfc.Quantize('int8') and convert with mode='int8', or convert a model that was not quantized in training."
        )
    new = {s: max(*bounds, merged.get(s, 0.0)) for s, bounds in found.items() if bounds}
    return {s: bound / _CODES.high for s, bound in new.items()}


def _wider(graph, path: str, bound: float, layers) -> list[float]:
    """Returns the smallest scale of a layer that holds a bound, as a list; empty where none does."""
    ours = {t for op in graph.ops if layers.get(str(op.index)) == path for t in op.outputs}
    scales = {t.scale[0] for t in _activations(graph) if t.index in ours and t.scale[0] * _CODES.high > bound}
    return [min(scales)] if scales else []


def _bias(model, graph, op, scales) -> None:
    """Rounds the bias of an operation to the grid of its input's new scale."""
    shift = 1 if op.name == "TRANSPOSE_CONV" else 0
    if len(op.inputs) < 3 + shift or op.inputs[2 + shift] < 0:
        return
    x, w = (op.inputs[2], op.inputs[1]) if shift else op.inputs[:2]
    bias = graph.tensors[op.inputs[2 + shift]]
    if x not in scales or bias.scale is None:
        return
    new = np.asarray(graph.tensors[w].scale, np.float64) * scales[x]
    dtype = np.dtype(bias.dtype)
    limit = np.iinfo(dtype).max
    codes = np.round(bias.data.astype(np.float64) * np.asarray(bias.scale, np.float64) / new)
    buffer = schema.BufferT()  # a new one: other tensors may use the old one
    codes = np.clip(codes, -float(limit), float(limit)).astype(dtype.newbyteorder("<"))
    buffer.data = np.ascontiguousarray(codes).view(np.uint8).reshape(-1)
    model.buffers.append(buffer)
    tensor = model.subgraphs[0].tensors[bias.index]
    tensor.buffer = len(model.buffers) - 1
    tensor.quantization.scale = np.broadcast_to(new, np.shape(bias.scale)).astype(np.float32)
