"""What a file is compared with, and which figures come into its metadata."""

import keras
import numpy as np
import pytest

from tfcompress.conversion.measuring import measure, note_uncompressed
from tfcompress.conversion.ranges import find_ranges
from tfcompress.conversion.writing import write
from tfcompress.tflite.fidelity import FLOAT_MODEL, SIMULATION, Fidelity


def measured(conversion):
    find_ranges(conversion)
    artifact = write(conversion)
    measure(conversion, artifact)
    note_uncompressed(conversion, artifact)
    return artifact


def references(artifact):
    return {row.reference for row in Fidelity.of(artifact.metadata["fidelity"]).outputs}


def test_without_samples_nothing_is_measured(small, conversion_of):
    assert not {"parity", "fidelity"} & set(measured(conversion_of(small, "float32", samples=None)).metadata)


def test_a_float_file_is_compared_with_the_float_model_alone(small, conversion_of):
    artifact = measured(conversion_of(small, "float32"))
    assert "parity" not in artifact.metadata and references(artifact) == {FLOAT_MODEL}
    assert all(row.error < 1e-5 for row in Fidelity.of(artifact.metadata["fidelity"]).outputs)


def test_a_calibrated_file_is_compared_with_its_simulation_too(small, conversion_of):
    artifact = measured(conversion_of(small))
    assert [row["xnnpack"] for row in artifact.metadata["parity"]] == [True, False]
    assert artifact.metadata["parity"][0]["largest_gap"] <= 1.001
    assert references(artifact) == {FLOAT_MODEL}


def test_after_training_the_simulation_is_a_reference_as_well(small, conversion_of, trained, x):
    assert references(measured(conversion_of(trained(small, x, "int8")))) == {SIMULATION, FLOAT_MODEL}


def test_random_numbers_are_not_compared(conversion_of, x):
    @keras.saving.register_keras_serializable("test_measuring")
    class Noisy(keras.layers.Layer):
        def call(self, x):
            return x + keras.random.normal(keras.ops.shape(x))

    model = keras.Sequential([keras.Input((6, 6, 2)), Noisy()])
    conversion = conversion_of(model, "float32", allow_float=("RANDOM_STANDARD_NORMAL",))
    artifact = measured(conversion)
    assert "RANDOM_STANDARD_NORMAL" in artifact.op_versions and "fidelity" not in artifact.metadata
    assert any("draw new random numbers at each call" in note for note in conversion.notes)


@pytest.mark.parametrize("units, is_told", [(4, True), (64, False)])
def test_a_dynamic_file_whose_kernels_stayed_float_is_told(conversion_of, units, is_told):
    model = keras.Sequential([keras.Input((32,)), keras.layers.Dense(units)])
    conversion = conversion_of(model, "dynamic", samples=np.ones((4, 32), "float32"))
    measured(conversion)
    assert any("nothing was compressed" in note for note in conversion.notes) == is_told
