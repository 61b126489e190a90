"""Makes a `.tflite` file smaller with the same outputs, bit for bit, and without data.

For every input, `slim(file)` gives the same codes as `file`, in the stock interpreter with and without
XNNPACK; `slim(slim(file))` is `slim(file)`.
"""

import os
import warnings
from typing import Any

import numpy as np

from tfcompress.tflite.artifact import Artifact
from tfcompress.tflite.kernels.widths import check_widths
from tfcompress.tflite.optimizer.cutting import RemovedCounts, cut
from tfcompress.tflite.optimizer.packing import archive, pack_model, unpack_file, with_archive
from tfcompress.tflite.optimizer.sharing import METADATA, NAMES, share
from tfcompress.tflite.schema.element_types import numpy_type
from tfcompress.tflite.trial_run import run_apart
from tfcompress.validation import checks

MOST_PROOF = 10_000  # random inputs, all in memory at once


def slim(
    file: Artifact | bytes | str | os.PathLike,
    channels: bool = True,
    names: str = "io",
    metadata: str = "needed",
    proof: int = 4,
    seed: int = 0,
) -> Artifact:
    """Makes a `.tflite` file smaller without changing any of its outputs.

    Names of inner tensors, calibration ranges, notes of the converter and everything unused are
    dropped; equal constants, scales, shapes and options are stored once. In integer parts of the
    graph, channels that are provably constant are folded into the biases that follow, and removed
    with their weights, as are channels that are never read, until no more can be removed. Other
    parts (float, custom operations, other layouts) stay as they are.

    Args:
        file: An artifact, the bytes of a file, or its path; also files that were not made here.
        channels: Whether to cut channels; False leaves every weight and operation as it is.
        names: "io" keeps the names of inputs, outputs and signatures, "all" those of all tensors.
        metadata: "needed" drops the description and the converter's notes; "all" keeps them. The
            minimal runtime version, labels and unknown entries stay in both.
        proof: Number of random inputs on which the smaller file is compared with the original in the
            stock interpreter, with and without XNNPACK, in a separate process. No channel is removed
            without this comparison: not with 0, and not from a file that the interpreter does not run
            (a warning says so).
        seed: Seed of these inputs.

    Returns:
        The smaller artifact with the metadata of `file`, its layers under the operations' new numbers,
        and an entry in `metadata["slim"]` of what was done and compared; `file` itself if nothing could be done.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no `.tflite` file, is damaged or uses a newer schema, or an argument is
            out of range.
        UnsupportedWidth: If the runtime would compute wrong numbers from its weights.
        RuntimeError: If the outputs of both files differ.

    Example:
        ```python
        import tfcompress as tfc

        small = tfc.slim("model.tflite")
        small.save("small.tflite")
        print(small.metadata["slim"][-1])
        ```
    """
    checks.choice("slim", "names", names, NAMES)
    checks.choice("slim", "metadata", metadata, METADATA)
    channels = checks.flag("slim", "channels", channels)
    proof, seed = checks.whole("slim", "proof", proof, 0, MOST_PROOF), checks.seed("slim", seed)
    original = _artifact(file)
    check_widths(original.model)
    content, done = _smaller(original, channels and proof > 0, names, metadata)
    if content == original.content:
        return original
    proven, doubt = _proof(original, content, proof, seed) if channels and proof else ("", "none was asked for")
    if not proven and channels and proof:
        plain, done = _smaller(original, False, names, metadata)
        if plain != content:
            warnings.warn(
                f"slim: no channels were cut, because the stock interpreter does not run the original and nothing can "
                f"be compared with it: {doubt}.",
                stacklevel=2,
            )
        content = plain
    if content == original.content:
        return original
    note = {"names": names, "metadata": metadata, "proof": proven or f"none: {doubt}"}
    return Artifact(content, _metadata(original, done, len(content), note))


def _smaller(original: Artifact, channels: bool, names: str, metadata: str) -> tuple[bytes, RemovedCounts]:
    model = unpack_file(original.content)
    done = cut(model) if channels else RemovedCounts(0, 0, tuple({} for _ in model.subgraphs))
    share(model, names, metadata)
    return with_archive(pack_model(model), archive(original.content)), done


def _artifact(file: Artifact | bytes | str | os.PathLike) -> Artifact:
    if isinstance(file, Artifact):
        return file
    if isinstance(file, bytes | bytearray | memoryview):
        return Artifact(bytes(file))
    if isinstance(file, str | os.PathLike):
        return Artifact.load(file)
    raise TypeError(f"slim: file must be an Artifact, bytes or a path. Received: {type(file).__name__}.")


def _metadata(original: Artifact, done: RemovedCounts, size: int, note: dict[str, str]) -> dict[str, Any]:
    facts = dict(original.metadata)
    if done.operations and isinstance(facts.get("layers"), dict):
        facts["layers"] = _moved(facts["layers"], done)
    counts = {
        "bytes_before": original.size,
        "bytes_after": size,
        "channels_removed": done.channels,
        "operations_removed": done.operations,
    }
    before = facts.get("slim", [])
    facts["slim"] = [*(before if isinstance(before, list) else []), counts | note]
    return facts


def _moved(layers: dict[str, str], done: RemovedCounts) -> dict[str, str]:
    """Returns layer names by the new numbers of their operations, without those of removed operations."""
    moved = {}
    for key, layer in layers.items():
        graph, _, number = key.rpartition(":")
        if not number.isdecimal() or (graph and not graph.isdecimal()) or int(graph or 0) >= len(done.places):
            continue
        places = done.places[int(graph or 0)]
        if int(number) in places:
            moved[f"{graph}:{places[int(number)]}" if graph else str(places[int(number)])] = layer
    return moved


def _proof(original: Artifact, content: bytes, count: int, seed: int) -> tuple[str, str]:
    """Compares both files on random inputs, in a separate process, as a file may crash the runtime.

    Returns:
        What was compared, "" if the original does not run here; and why it does not.
    """
    rng = np.random.default_rng(seed)
    inputs = [_drawn(spec, count, rng) for spec in original.inputs]
    if not inputs or any(each is None for each in inputs):
        return "", "it has no inputs that could be drawn"
    ways, proven, doubts = (True, False), [], []
    for way, expected, found in zip(ways, *run_apart((original.content, content), inputs, ways), strict=True):
        how = "with XNNPACK" if way else "without XNNPACK"
        if expected.outputs is None:
            doubts.append(expected.reason)
            continue
        if found.outputs is None or not _same(expected.outputs, found.outputs):
            what = f"does not run ({found.reason})" if found.outputs is None else "answers differently"
            raise RuntimeError(
                f"slim: the smaller file {what} {how}, so it is not used. This is a fault of slim (or the file is "
                "random by itself); slim(..., channels=False) leaves all weights as they are."
            )
        proven.append(how)
    return f"{count} random inputs {' and '.join(proven)}" if proven else "", "".join(doubts[:1])


def _same(expected: list[np.ndarray], found: list[np.ndarray]) -> bool:
    return all(a.tobytes() == b.tobytes() for a, b in zip(expected, found, strict=True))


def _drawn(spec: Any, count: int, rng: np.random.Generator) -> np.ndarray | None:
    """Draws inputs of the tensor's own type, if NumPy has it; 0 or 1 for integers that may be indices of a table."""
    dtype = numpy_type(spec.dtype)
    if dtype is None:
        return None
    shape = (count, *(max(1, size) for size in spec.shape[1:]))
    if dtype.kind in "iu" and spec.is_quantized:
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    return rng.random(shape).astype(dtype) if dtype.kind == "f" else rng.integers(0, 2, shape).astype(dtype)
