"""Variables of loops with two grids are refused; TensorFlow's own loops become integer ones."""

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.tflite.loops.grids import check_variables
from tfcompress.tflite.loops.trips import trips
from tfcompress.tflite.optimizer.packing import pack_model, unpack_file
from tfcompress.tflite.schema.flatbuffer import read


@pytest.fixture(scope="module")
def looped():
    """The file of a small GRU that puts out its whole sequence."""
    keras.utils.set_random_seed(0)
    x = keras.Input((7, 3), name="x")
    model = keras.Model(x, keras.layers.GRU(4, return_sequences=True)(x))
    data = np.random.default_rng(0).normal(size=(32, 7, 3)).astype("float32")
    return tfc.convert(model, calibration=data, recurrent="loop", diagnose=False)


def test_a_variable_with_two_grids_is_refused(looped):
    check_variables(read(looped.content))
    model = unpack_file(looped.content)
    loop = next(op for op in model.subgraphs[0].operators if len(op.outputs) > 3)
    body = model.subgraphs[loop.builtinOptions.bodySubgraphIndex]
    place = next(k for k, t in enumerate(body.inputs) if body.tensors[t].quantization is not None)
    held = body.tensors[body.inputs[place]].quantization
    held.scale = np.asarray(held.scale, np.float32) * 2
    with pytest.raises(RuntimeError, match="two grids"):
        check_variables(read(pack_model(model)))


def test_rows_are_written_by_one_operation(looped):
    names = [row["op"] for row in looped.ops_table()]
    assert names.count("DYNAMIC_UPDATE_SLICE") == 1
    assert "SLICE" not in names
    assert tuple(map(int, looped.model.min_runtime.split("."))) >= (2, 9)


def test_rounds_of_a_loop_are_known(looped):
    main = looped.model.graphs[0]
    assert [trips(looped.model, main, op) for op in main.ops if op.name == "WHILE"] == [7]


def test_steps_are_counted_once(looped):
    condition = next(graph for graph in looped.model.graphs[1:] if graph.tensors[graph.outputs[0]].dtype == "bool")
    assert [op.name for op in condition.ops] == ["LESS"]
