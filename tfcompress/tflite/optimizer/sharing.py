"""Drops the parts of a file that no interpreter reads, and stores equal parts once.

Dropped are names of inner tensors, ranges seen in calibration, notes of the converter, unused
tensors, buffers and operator codes; equal constants share one buffer, and one tensor where nothing
else differs.
"""

import hashlib
from collections.abc import Hashable, Iterable

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfcompress.tflite.optimizer.packing import archive, pack_model, unpack_file, with_archive

NAMES = ("io", "all")
METADATA = ("needed", "all")

# Notes of the converter about its own run, which nothing reads.
_NOTES = frozenset({"CONVERSION_METADATA"})
# These do not refer to tensors or operations by number; others might, and then numbers stay as they are.
_WITHOUT_NUMBERS = frozenset({"min_runtime_version", "TFLITE_METADATA", "reduced_precision_support", *_NOTES})


def share_file(content: bytes, names: str = "all", metadata: str = "needed") -> bytes:
    """Makes a file smaller without changing its operations or values.

    Args:
        content: The bytes of a `.tflite` file.
        names: "all" keeps the names of tensors, "io" only those of inputs, outputs and signatures.
        metadata: "needed" drops the description and the converter's notes, "all" keeps everything.

    Returns:
        The bytes of the new file; the same bytes for a file that this function made.

    Raises:
        ValueError: If the content is no such file, is damaged or uses a newer schema, or an option
            has another value.

    Example:
        >>> share_file(b"no file")
        Traceback (most recent call last):
        ValueError: not a .tflite file...
    """
    model = unpack_file(content)
    share(model, names, metadata)
    return with_archive(pack_model(model), archive(content))


def share(model: schema.ModelT, names: str = "all", metadata: str = "needed") -> None:
    """Makes a model in memory smaller, as `share_file` does with a file.

    Args:
        model: The model; changed in place.
        names: As in `share_file`.
        metadata: As in `share_file`.
    """
    check_word("names", names, NAMES)
    check_word("metadata", metadata, METADATA)
    if metadata == "needed":
        _drop_notes(model)
    for number, graph in enumerate(model.subgraphs):
        if names == "io":
            graph.name = None
        ends = ends_of(model, number)
        for index, tensor in enumerate(graph.tensors):
            _lighten(tensor, names == "all" or index in ends)
    _share_tensors(model)  # those that nothing uses go with their buffers
    _share_buffers(model)
    _share_tensors(model)  # those that share a buffer now
    _share_codes(model)


def has_free_numbers(model: schema.ModelT) -> bool:
    """Returns whether only graphs and signatures refer to tensors and operations by number."""
    plain = {(each.name or b"").decode() for each in model.metadata or ()} <= _WITHOUT_NUMBERS
    marked = [*model.subgraphs, *(op for graph in model.subgraphs for op in graph.operators or ())]
    # scales of blocks of weights stand in a tensor of their own
    has_blocks = any(
        isinstance(getattr(tensor.quantization, "details", None), schema.BlockwiseQuantizationT)
        for graph in model.subgraphs
        for tensor in graph.tensors
    )
    return plain and not has_blocks and all(each.debugMetadataIndex == -1 for each in marked)


def ends_of(model: schema.ModelT, number: int) -> set[int]:
    """Returns the tensors at the ends of a graph: inputs, outputs and those that signatures name."""
    graph = model.subgraphs[number]
    named = (each.tensorIndex for each in _signature_maps(model, number))
    return {*numbers(graph.inputs), *numbers(graph.outputs), *named}


def check_word(argument: str, word: str, words: Iterable[str]) -> None:
    """Raises if an option has a value that it does not take.

    Raises:
        ValueError: In that case.
    """
    if word not in words:
        raise ValueError(f"slim: {argument} must be one of {', '.join(words)}. Received: {argument}={word!r}.")


def _drop_notes(model: schema.ModelT) -> None:
    model.description = None
    if model.metadata is not None:
        model.metadata = [each for each in model.metadata if (each.name or b"").decode() not in _NOTES] or None


def _signature_maps(model: schema.ModelT, number: int) -> list[schema.TensorMapT]:
    signatures = [each for each in model.signatureDefs or () if each.subgraphIndex == number]
    return [each for s in signatures for each in (*(s.inputs or ()), *(s.outputs or ()))]


def _lighten(tensor: schema.TensorT, keeps_name: bool) -> None:
    if not keeps_name:
        tensor.name = None
    signature, shape = numbers(tensor.shapeSignature), numbers(tensor.shape)
    if signature == shape and min(signature, default=0) >= 0:
        tensor.shapeSignature = None  # says nothing that the shape does not
    found = tensor.quantization
    if found is None:
        return
    found.min = found.max = None
    if not numbers(found.scale) and not numbers(found.zeroPoint) and found.details is None:
        tensor.quantization = None


def _share_buffers(model: schema.ModelT) -> None:
    """Leaves one empty buffer, number 0, for all activations, and one buffer for each content."""
    old, new = model.buffers or [], [schema.BufferT()]
    known: dict[Hashable, int] = {}

    def moved(index: int, alone: bool = False) -> int:
        data = old[index].data
        if data is None or not len(data):
            return 0
        key = index if alone else (len(data), hashlib.sha256(np.asarray(data, np.uint8).data).digest())
        if key not in known:
            known[key] = len(new)
            new.append(old[index])
        return known[key]

    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.buffer = moved(tensor.buffer, alone=tensor.isVariable)
    for entry in model.metadata or ():
        entry.buffer = moved(entry.buffer)
    if model.metadataBuffer is not None:
        model.metadataBuffer = np.array([moved(index) for index in model.metadataBuffer], np.int32)
    model.buffers = new


def _share_tensors(model: schema.ModelT) -> None:
    if has_free_numbers(model):
        for number in range(len(model.subgraphs)):
            _share_tensors_of(model, number)


def _share_tensors_of(model: schema.ModelT, number: int) -> None:
    """Drops tensors that nothing uses, and all but the first of equal constants."""
    graph, ends = model.subgraphs[number], ends_of(model, number)
    first: dict[Hashable, int] = {}
    same = list(range(len(graph.tensors)))
    # activations may refer to an empty buffer, one for all of them or one each
    filled = [each.data is not None and len(each.data) > 0 for each in model.buffers or ()]
    for index, tensor in enumerate(graph.tensors):
        if filled[tensor.buffer] and not tensor.isVariable and tensor.sparsity is None and index not in ends:
            same[index] = first.setdefault(_content(tensor), index)
    used = set(ends)
    for op in graph.operators or ():
        for numbered in (op.inputs, op.outputs, op.intermediates):
            used |= {same[index] for index in numbers(numbered) if index >= 0}
    place = {index: k for k, index in enumerate(sorted(used))}

    def moved(indices: Iterable[int]) -> np.ndarray:
        return np.array([index if index < 0 else place[same[index]] for index in indices], np.int32)

    graph.tensors = [graph.tensors[index] for index in sorted(used)]
    graph.inputs, graph.outputs = moved(numbers(graph.inputs)), moved(numbers(graph.outputs))
    for op in graph.operators or ():
        op.inputs, op.outputs = moved(numbers(op.inputs)), moved(numbers(op.outputs))
        op.intermediates = moved(numbers(op.intermediates)) if numbers(op.intermediates) else None
    for each in _signature_maps(model, number):
        each.tensorIndex = place[each.tensorIndex]


def _content(tensor: schema.TensorT) -> Hashable:
    found = tensor.quantization
    # tensors are not shared where the quantization has more than scales
    scales = None if found is None else (
        id(found) if found.details is not None else 0,
        *(tuple(numbers(each)) for each in (found.scale, found.zeroPoint, found.min, found.max)),
        found.quantizedDimension,
    )  # fmt: skip
    shapes = tuple(numbers(tensor.shape)), tuple(numbers(tensor.shapeSignature))
    return tensor.type, tensor.buffer, bytes(tensor.name or b""), tensor.hasRank, shapes, scales


def _share_codes(model: schema.ModelT) -> None:
    """Keeps the operator codes that operations use, each once."""
    known: dict[Hashable, int] = {}
    kept = []
    for op in (op for graph in model.subgraphs for op in graph.operators or ()):
        code = model.operatorCodes[op.opcodeIndex]
        key = code.builtinCode, code.deprecatedBuiltinCode, code.version, bytes(code.customCode or b"")
        if key not in known:
            known[key] = len(kept)
            kept.append(code)
        op.opcodeIndex = known[key]
    model.operatorCodes = kept


def numbers(values: np.ndarray | list | None) -> list:
    """Returns the elements of a vector; an empty list for an absent one."""
    return [] if values is None else np.asarray(values).tolist()
