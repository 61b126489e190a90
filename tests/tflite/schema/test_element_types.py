"""Types that the schema has and NumPy does not: files with them are read and made smaller, and not run."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

import tfcompress as tfc
from tfcompress.tflite.schema import flatbuffer
from tfcompress.tflite.schema.element_types import bytes_of, numpy_type

FOREIGN = ["string", "resource", "variant", "int2", "int4", "uint4", "bfloat16", "float8_e4m3fn", "float8_e5m2"]


def test_every_type_of_the_schema_has_a_size_or_none():
    names = {name.lower() for name in vars(schema.TensorType) if not name.startswith("_")}
    assert {name for name in names if numpy_type(name) is None} == set(FOREIGN)
    assert {name for name in names if not bytes_of((1,), name)} == {"string", "resource", "variant"}


def test_what_other_packages_add_to_numpy_changes_nothing():
    import ml_dtypes

    assert np.dtype("bfloat16") == ml_dtypes.bfloat16 and numpy_type("bfloat16") is None


def typed(content, name, edited):
    def change(model, graph):
        graph.tensors[graph.inputs[0]].type = getattr(schema.TensorType, name.upper())

    return edited(content, change)


@pytest.mark.parametrize("name", FOREIGN)
def test_inputs_of_a_type_without_arrays(tiny_files, edited, name):
    content = typed(tiny_files["float32"], name, edited)
    smaller = tfc.slim(content)
    assert smaller.inputs[0].dtype == name
    for use in (lambda: smaller.predict(np.zeros((1, 8, 8, 1), "f4")), lambda: tfc.benchmark(smaller)):
        with pytest.raises(ValueError, match=f"is of the type {name}, of which there are no NumPy arrays"):
            use()


@pytest.mark.parametrize("name", ["string", "resource", "variant", "float8_e4m3fn"])
def test_scales_of_such_a_type_are_refused_by_tensor(tiny_files, edited, name):
    with pytest.raises(ValueError, match=rf"tensor \d+ .*quantized tensors of the type {name} are not read"):
        flatbuffer.read(typed(tiny_files["int8"], name, edited))


@pytest.mark.parametrize("name", ["bool", "complex64"])
def test_codes_are_whole_numbers(tiny_files, edited, name):
    artifact = tfc.slim(typed(tiny_files["int8"], name, edited), channels=False)
    with pytest.raises(ValueError, match=f"is quantized, but its type {name} is no integer one"):
        artifact.predict(np.zeros((1, 8, 8, 1), "f4"))
