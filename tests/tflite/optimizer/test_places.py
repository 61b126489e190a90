"""The model of the runtime's kernels against the runtime."""

import numpy as np
import pytest

from tfcompress.tflite.optimizer.circuit import Circuit
from tfcompress.tflite.optimizer.places import block_of
from tfcompress.tflite.optimizer.sharing import ends_of


def all_pairs(drawing, start, name, seed):
    """What a sum or product gives for all pairs of codes, in blocks of sixteen, and one at a time."""
    results = []
    for shape in ((1, 1, 256, 256), (1, 1, 256, 15)):
        d = drawing(seed, shape)
        other = d.activation(shape)
        d.outputs = [d.pair(name, d.x, other)]
        model = d.model()
        model.subgraphs[0].inputs = [d.x, other]
        results.append((d, model, other))
    (d, model, other), (small, *_) = results
    first, second = (grid.astype(np.int8) for grid in np.meshgrid(np.arange(-128, 128), np.arange(-128, 128)))
    wide = start(content_of(model), False)
    found = run(wide, d.x, other, first[None, None], second[None, None])
    narrow = start(content_of(results[1][1]), False)
    rows = [run(narrow, d.x, other, first[None, None, :, k : k + 15], second[None, None, :, k : k + 15])
            for k in range(0, 240, 15)]  # fmt: skip
    return model, found[0, 0][:, :240], np.concatenate(rows, -1)[0, 0]


def content_of(model):
    from tfcompress.tflite.optimizer.packing import pack_model

    return pack_model(model)


def run(interpreter, x, other, first, second):
    interpreter.set_tensor(x, first)
    interpreter.set_tensor(other, second)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


@pytest.mark.parametrize("name", ["ADD", "SUB", "MUL"])
def test_sums_without_ambiguous_pairs_are_the_same_at_every_place(drawing, start, name):
    free = 0
    for seed in range(8):
        model, blocks, singles = all_pairs(drawing, start, name, seed)
        circuit = Circuit(model, model.subgraphs[0], ends_of(model, 0))
        full = np.full(256, -128), np.full(256, 127)
        if block_of(circuit, circuit.ops[0], lambda _, full=full: full) == 1:
            free += 1
            np.testing.assert_array_equal(blocks, singles)
    assert free > 0


def test_blocks(drawing):
    d = drawing(0, (1, 6, 6, 32))
    mean, other = d.mean(d.x), d.activation((1, 6, 6, 32), 0.011, 4)
    pooled = d.pool("MAX_POOL_2D", d.x)
    model = d.model()
    circuit = Circuit(model, model.subgraphs[0], [])
    full = np.full(32, -128), np.full(32, 127)
    assert [block_of(circuit, op, lambda _: full) for op in circuit.ops] == [16, 1]
    assert mean != pooled != other
