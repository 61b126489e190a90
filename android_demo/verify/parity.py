"""Python's answers for the parity test: random inputs and what ai_edge_litert makes of them.

For each model of the bundled manifest (an encrypted one through its plain twin) NAME.in and NAME.out,
little-endian tensors one behind the other; prints where LiteRT's C library is and its version.
"""

import argparse
import importlib.metadata
import json
import pathlib

import ai_edge_litert
import numpy as np
from ai_edge_litert.interpreter import Interpreter

ASSETS = pathlib.Path(__file__).parents[1] / "app/src/main/assets/models"


def inputs(spec, count, rng):
    """`count` inputs over the whole range of the type, with the constants in front."""
    shape = (count, *spec["shape"])
    if spec["dtype"] == "int8":
        values = rng.integers(-128, 128, size=shape, dtype=np.int8)
        edges = (-128, 0, 127)
    else:
        values = rng.random(shape, np.float32)
        edges = (0.0, 0.5, 1.0)
    for index, edge in enumerate(edges):
        values[index] = edge
    return values


def answers(content, values):
    """The model's outputs, one thread."""
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]["index"]
    target = interpreter.get_output_details()[0]["index"]
    found = []
    for value in values:
        interpreter.set_tensor(source, value)
        interpreter.invoke()
        found.append(interpreter.get_tensor(target))
    return np.stack(found)


def main():
    """Writes the files."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--count", type=int, default=200)
    flags = parser.parse_args()
    flags.out.mkdir(parents=True, exist_ok=True)
    models = json.loads((ASSETS / "manifest.json").read_text("utf-8"))["models"]
    plain = {m["sha256"]: m["file"] for m in models if m["encryption"] is None}
    for number, model in enumerate(models):
        digest = model["encryption"]["plain_sha256"] if model["encryption"] else model["sha256"]
        values = inputs(model["inputs"][0], flags.count, np.random.default_rng(number))
        found = answers((ASSETS / plain[digest]).read_bytes(), values)
        for suffix, tensor in (("in", values), ("out", found)):
            (flags.out / f"{model['id']}.{suffix}").write_bytes(tensor.astype(tensor.dtype.newbyteorder("<")).tobytes())
    print(pathlib.Path(ai_edge_litert.__file__).with_name("libLiteRt.so"))
    print(importlib.metadata.version("ai-edge-litert"))


if __name__ == "__main__":
    main()
