"""Damaged files by seed, and what a reader must do with each: one ValueError, or the answers of the runtime.

Used by `tests/test_fuzz.py` (some hundreds) and `tests/bench/fuzz.py` (tens of thousands, in processes of their own).
"""

import contextlib
import copy
import io
import json
import pathlib
import warnings
import zipfile

import flatbuffers
import h5py
import numpy as np
from ai_edge_litert import schema_py_generated as schema

ROOT = pathlib.Path(__file__).parents[2]
_NUMBERS = [-(2**62), -(2**31), -8, -1, 0, 1, 3, 127, 128, 255, 65536, 2**31 - 1, 2**62]
_REALS = [0.0, -1.0, 1e-45, 1e-30, 1.0, 3e38, float("inf"), float("-inf"), float("nan")]


# ---------------------------------------------------------------- damage


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """A copy of a file with some bytes changed, cut off, doubled or taken from another place of it."""
    data = bytearray(content)
    way = rng.integers(6)
    if way == 0:
        return bytes(data[: rng.integers(len(data))])
    if way == 1:  # a run of equal bytes
        start = int(rng.integers(len(data)))
        data[start : start + int(rng.integers(1, 65))] = bytes([rng.choice([0, 255])]) * int(rng.integers(1, 65))
        return bytes(data)
    if way == 2:  # a piece of the file at another place
        size, source, target = (int(rng.integers(1, 65)), *map(int, rng.integers(len(data), size=2)))
        data[target : target + size] = data[source : source + size]
        return bytes(data)
    # changes in the head of a file hit its structure, most of the rest is weights
    reach = len(data) if way in (3, 4) else max(8, len(data) // 10)
    for place in rng.integers(4, reach, int(rng.integers(1, 9))):
        data[place] = rng.integers(256) if way == 3 else data[place] ^ (1 << int(rng.integers(8)))
    return bytes(data)


def damaged_model(content: bytes, rng: np.random.Generator) -> bytes:
    """A `.tflite` file, well-formed as a flatbuffer, that says something else than the original."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    for _ in range(int(rng.integers(1, 3))):
        _CHANGES[rng.integers(len(_CHANGES))](model, rng)
    builder = flatbuffers.Builder(len(content))
    try:
        builder.Finish(model.Pack(builder), b"TFL3")
    except (TypeError, ValueError, OverflowError, AttributeError, IndexError, AssertionError):
        return damaged(content, rng)  # a number that its field does not hold
    return bytes(builder.Output())


def damaged_json(text: str, rng: np.random.Generator) -> bytes:
    """JSON in which a value is another one, a key is gone or stands twice, or something lies deep in itself."""
    document = json.loads(text)
    for _ in range(int(rng.integers(1, 4))):
        holder = document
        while True:
            keys = list(holder) if isinstance(holder, dict) else range(len(holder))
            if not keys:
                break
            key = keys[rng.integers(len(keys))]
            inner = holder[key]
            if not isinstance(inner, dict | list) or rng.random() < 0.2:
                holder[key] = _value(inner, rng)
                break
            holder = inner
    found = json.dumps(document)
    way = rng.integers(8)
    if way == 0:
        return found.replace(": ", ": " + "[" * 100_000, 1).encode()
    if way == 1:
        return found.replace("{", '{"x": 1, "x": 2, ', 1).encode()
    return damaged(found.encode(), rng) if way == 2 else found.encode()


def damaged_hdf5(content: bytes, rng: np.random.Generator) -> bytes:
    """An HDF5 file, whole as such, in which a dataset, a link or an attribute is another one."""
    stream = io.BytesIO(content)
    with h5py.File(stream, "r+") as file:
        places: list[str] = []
        file.visit(places.append)
        place = places[rng.integers(len(places))]
        item = file[place]
        way = rng.integers(7)
        if rng.random() < 0.3:
            config = damaged_json(file.attrs["model_config"], rng) if "model_config" in file.attrs else b"{}"
            if len(config) < 60_000:  # what an attribute holds
                file.attrs["model_config"] = np.bytes_(config)
        elif way == 0 and item.attrs:
            name = list(item.attrs)[rng.integers(len(item.attrs))]
            item.attrs[name] = [b"x", "y" * 300, 3, np.arange(3), np.float32("nan"), [b"a", b"b"]][rng.integers(6)]
        else:
            _other_link(file, place, way, rng)
    return stream.getvalue()


def damaged_archive(content: bytes, rng: np.random.Generator) -> bytes:
    """A `.keras` archive, whole as a zip, in which a member is damaged, gone or another one."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = list(members)[rng.integers(len(members))]
    if name.endswith(".h5"):
        members[name] = damaged_hdf5(members[name], rng)
    elif rng.random() < 0.8:
        members[name] = damaged_json(members[name].decode(), rng)
    else:
        del members[name]
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", int(rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))) as archive:
        for key, value in members.items():
            archive.writestr(key, value)
    return stream.getvalue()


def _value(old, rng):
    others = [
        None,
        True,
        -1,
        0,
        2**31,
        10**400,
        1e300,
        float("nan"),
        "",
        "\x1b[31m",
        "x" * 500,
        [],
        {},
        [old],
        {"a": old},
    ]
    return others[rng.integers(len(others))]


def _other_link(file, place, way, rng):
    del file[place]
    if way == 1:
        file[place] = h5py.SoftLink("/")
    elif way == 2:
        file[place] = h5py.ExternalLink("/etc/hostname", "/x")
    elif way == 3:
        file.create_dataset(place, shape=(4, 3), dtype="<f4", external=[("/etc/hostname", 0, 48)])
    elif way == 4:
        file.create_dataset(place, shape=(30_000, 30_000), dtype="<f4", chunks=(1000, 1000), compression="gzip")
    elif way == 5:
        file.create_dataset(place, data=rng.random(tuple(rng.integers(0, 5, int(rng.integers(0, 4))))))
    else:
        file[place] = file["/"]


def _tensor(model, rng):
    tensors = model.subgraphs[rng.integers(len(model.subgraphs))].tensors
    return tensors[rng.integers(len(tensors))]


def _op(model, rng):
    graph = model.subgraphs[rng.integers(len(model.subgraphs))]
    return graph.operators[rng.integers(len(graph.operators))] if graph.operators else schema.OperatorT()


def _put(owner, field, value, rng):
    """One element of a vector, or a number, becomes another."""
    held = getattr(owner, field, None)
    if held is None:
        return
    if isinstance(held, np.ndarray | list):
        if len(held):
            held = [*held]
            held[rng.integers(len(held))] = value
            way = rng.integers(6)
            held = held[:-1] if way == 0 else [*held, value] if way == 1 else held
            setattr(owner, field, held)
    else:
        setattr(owner, field, value)


def _number(rng):
    return _NUMBERS[rng.integers(len(_NUMBERS))] if rng.random() < 0.7 else int(rng.integers(-3, 20))


def _options(model, rng):
    options = _op(model, rng).builtinOptions
    fields = [name for name, value in vars(options).items() if not callable(value)] if options is not None else []
    if fields:
        _put(options, fields[rng.integers(len(fields))], _number(rng), rng)


def _swap_ops(model, rng):
    ops = model.subgraphs[0].operators or []
    if len(ops) > 1:
        a, b = rng.integers(len(ops), size=2)
        ops[a], ops[b] = ops[b], ops[a]


def _quantization(field, values):
    def change(model, rng):
        found = _tensor(model, rng).quantization
        if found is not None:
            _put(found, field, values(rng), rng)

    return change


def _buffer(model, rng):
    buffer = model.buffers[rng.integers(len(model.buffers))]
    if buffer.data is not None and len(buffer.data):
        data = np.array(buffer.data, np.uint8)
        data[rng.integers(len(data), size=3)] = rng.integers(256, size=3)
        buffer.data = data if rng.random() < 0.7 else data[: rng.integers(len(data))]


def _copy_op(model, rng):
    ops = model.subgraphs[0].operators
    if ops:
        ops.insert(int(rng.integers(len(ops))), copy.copy(ops[rng.integers(len(ops))]))


def _signature(model, rng):
    for each in model.signatureDefs or ():
        if rng.random() < 0.5:
            each.subgraphIndex = abs(_number(rng)) % 2**32
        for entry in (*(each.inputs or ()), *(each.outputs or ())):
            entry.tensorIndex = abs(_number(rng)) % 2**32


_CHANGES = [
    lambda m, r: _put(_tensor(m, r), "shape", _number(r), r),
    lambda m, r: _put(_tensor(m, r), "shapeSignature", _number(r), r),
    lambda m, r: _put(_tensor(m, r), "buffer", abs(_number(r)), r),
    lambda m, r: _put(_tensor(m, r), "type", int(r.integers(20)), r),
    lambda m, r: _put(_tensor(m, r), "isVariable", True, r),
    lambda m, r: _put(_op(m, r), "inputs", _number(r), r),
    lambda m, r: _put(_op(m, r), "outputs", _number(r), r),
    lambda m, r: _put(_op(m, r), "opcodeIndex", abs(_number(r)), r),
    lambda m, r: _put(m.subgraphs[0], "inputs", _number(r), r),
    lambda m, r: _put(m.subgraphs[0], "outputs", _number(r), r),
    lambda m, r: _put(m.operatorCodes[r.integers(len(m.operatorCodes))], "builtinCode", int(r.integers(210)), r),
    lambda m, r: _put(m.operatorCodes[r.integers(len(m.operatorCodes))], "version", _number(r), r),
    _quantization("scale", lambda r: _REALS[r.integers(len(_REALS))]),
    _quantization("zeroPoint", _number),
    _quantization("quantizedDimension", _number),
    _options, _options, _swap_ops, _buffer, _copy_op, _signature,
]  # fmt: skip


# ---------------------------------------------------------------- what must hold


def read_everything(content: bytes):
    """The artifact of a file, everything that `inspect` shows of it read; a ValueError if it is damaged."""
    from tfcompress.evaluate.kernels import kernel_table, range_table
    from tfcompress.evaluate.macs_artifact import artifact_macs
    from tfcompress.tflite.artifact import Artifact

    artifact = Artifact.foreign(content)
    text = artifact.summary()
    assert "\x1b" not in text
    _ = artifact.is_integer, kernel_table(artifact), range_table(artifact), artifact_macs(artifact)
    return artifact


def drawn_inputs(artifact, seed: int = 0) -> list[np.ndarray] | None:
    """Two samples of codes for each input; None where an input is of a type that NumPy does not have."""
    from tfcompress.tflite.schema.element_types import numpy_type

    rng = np.random.default_rng(seed)
    found = []
    for spec in artifact.inputs:
        shape = (2 * max(1, spec.shape[0]), *(max(1, size) for size in spec.shape[1:])) if spec.shape else ()
        if np.prod(shape, dtype=float) > 1e7:
            raise ValueError("too large to be run here")
        kind = numpy_type(spec.dtype)
        if kind is None:
            return None
        whole = kind.kind in "iu" and spec.is_quantized
        limits = np.iinfo(kind) if whole else None
        found.append(
            rng.integers(limits.min, limits.max, shape, kind, endpoint=True) if whole
            else rng.random(shape).astype(kind) if kind.kind == "f" else rng.integers(0, 2, shape).astype(kind)
        )  # fmt: skip
    return found


@contextlib.contextmanager
def no_warnings():
    """Hides what is said about files, not what is raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
