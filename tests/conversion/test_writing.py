"""The file of a conversion: options of the converter, names, integer operations."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfcompress.conversion.conversion import Ranges
from tfcompress.conversion.ranges import find_ranges
from tfcompress.conversion.writing import check_integer, write
from tfcompress.export.verify import NotFullyInteger

L = keras.layers


def written(conversion):
    find_ranges(conversion)
    return write(conversion)


@pytest.mark.parametrize(
    "mode, kernel, ends",
    [("float32", "float32", "float32"), ("float16", "float16", "float32"), ("int8", "int8", "int8")],
)
def test_the_row_of_the_format_says_what_the_file_holds(small, conversion_of, mode, kernel, ends):
    artifact = written(conversion_of(small, mode))
    types = {t.dtype for t in artifact.model.graphs[0].tensors}
    assert kernel in types and ("int8" in types) == (mode == "int8")
    assert {spec.dtype for spec in (*artifact.inputs, *artifact.outputs)} == {ends}


def test_inputs_and_operations_have_the_names_of_the_model(small, conversion_of):
    artifact = written(conversion_of(small))
    assert [spec.name for spec in artifact.inputs] == ["x"]
    assert set(artifact.metadata["layers"].values()) >= {"conv", "head"}


def test_inner_values_without_a_range_get_one_from_a_second_run(conversion_of, x):
    @keras.saving.register_keras_serializable("test_writing")
    class Composite(L.Layer):
        def call(self, x):
            return tf.raw_ops.Relu(features=x * 0.5) * keras.ops.sigmoid(x)

    model = keras.Sequential([keras.Input((6, 6, 2)), Composite(), L.Flatten(), L.Dense(3)])
    conversion = conversion_of(model)
    artifact = written(conversion)
    assert artifact.is_integer
    by_calibrator = "inner values of some layers have ranges from TensorFlow's calibrator" in conversion.notes
    assert by_calibrator or conversion.ranges is Ranges.BY_CONVERTER


def test_an_operation_that_stays_float_is_refused_unless_it_is_allowed(conversion_of):
    model = keras.Sequential([keras.Input((4, 4, 4, 1)), L.Conv3D(2, 3, name="solid"), L.Flatten(), L.Dense(2)])
    samples = np.random.default_rng(0).normal(size=(16, 4, 4, 4, 1)).astype("float32")
    with pytest.raises(NotFullyInteger, match="CONV_3D from layer 'solid'"):
        conversion = conversion_of(model, samples=samples)
        check_integer(conversion, written(conversion))
    conversion = conversion_of(model, samples=samples, allow_float=("CONV_3D",))
    artifact = written(conversion)
    check_integer(conversion, artifact)
    assert "CONV_3D" in artifact.op_versions and not artifact.is_integer


def test_a_format_with_float_operations_is_not_checked(small, conversion_of):
    conversion = conversion_of(small, "float32")
    check_integer(conversion, written(conversion))
