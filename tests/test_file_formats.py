"""Laws of the table of file formats, and that the files have what it says."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfcompress as tfc
from tfcompress.file_formats import ALWAYS, FORMATS, INT8, MODES, NEVER, Codes, activations_of, is_stored, mode_of

EVERY = [pytest.param(row, id=mode) for mode, row in FORMATS.items()]


@pytest.fixture
def dense_model():
    """Dense layers whose kernels have 1,024 weights and more: TensorFlow makes smaller ones dynamic in no mode."""
    layers = [keras.layers.Dense(64, bias_initializer="uniform") for _ in range(2)]
    return keras.Sequential([keras.Input((32,)), *layers])


@pytest.fixture
def rows_of_data():
    return np.random.default_rng(0).normal(size=(32, 32)).astype("float32")


@pytest.mark.parametrize("bits", range(2, 17))
def test_codes_lie_evenly_around_zero_only_if_narrow(bits):
    full, narrow = Codes(bits), Codes(bits, symmetric=True, narrow=True)
    assert full.count == 2**bits and narrow.count == 2**bits - 1
    assert narrow.low == -narrow.high and full.low == -full.high - 1
    assert full.steps == full.high - full.low
    assert full.low * full.unit == -1.0


def test_modes_are_the_rows_in_their_order():
    assert MODES == ("float32", "float16", "dynamic", "int8", "int16x8")
    assert INT8 is FORMATS["int8"]


@pytest.mark.parametrize("row", EVERY)
def test_a_row_fits_together(row):
    assert row.is_integer == (row.bias_bits is not None) == bool(row.kernels)
    assert row.is_integer == (row.calibration != NEVER)
    assert row.weights is None or row.weights.symmetric and row.weights.narrow
    assert "float32" in row.io
    for name in row.optimizations:
        assert hasattr(tf.lite.Optimize, name)
    for name in (*row.ops, *row.calibrated_ops):
        assert hasattr(tf.lite.OpsSet, name)


@pytest.mark.parametrize("row", EVERY)
def test_a_file_holds_what_its_row_says(row, dense_model, rows_of_data):
    artifact = tfc.convert(dense_model, row.mode, rows_of_data, diagnose=False)
    assert artifact.inputs[0].dtype == artifact.outputs[0].dtype == row.io[0]
    kernels = list(artifact.kernels().values())
    kind = f"int{row.weights.bits}" if row.weights else (*row.float_types, "float32")[0]
    assert kernels and {str(k.dtype) for k in kernels} == {kind}
    if not row.is_integer:
        return
    for codes in kernels:
        assert row.weights.low <= codes.min() and codes.max() <= row.weights.high
    (graph,) = artifact.model.graphs
    biased = [op for op in graph.ops if op.name in row.kernels and op.inputs[2:] and op.inputs[2] >= 0]
    assert biased
    assert {graph.tensors[op.inputs[2]].dtype for op in biased} == {f"int{row.bias_bits}"}


@pytest.mark.parametrize("row", EVERY)
def test_every_type_of_ends_is_made(row, dense_model, rows_of_data):
    for kind in row.io:
        artifact = tfc.convert(dense_model, row.mode, rows_of_data, io=kind, diagnose=False)
        assert artifact.inputs[0].dtype == kind
    with pytest.raises(ValueError, match="io"):
        tfc.convert(dense_model, row.mode, rows_of_data, io="int4")


@pytest.mark.parametrize("row", EVERY)
def test_calibration_is_asked_for_where_the_row_says_so(row, dense_model):
    if row.calibration == NEVER:
        assert tfc.convert(dense_model, row.mode).metadata["mode"] == row.mode
        return
    with pytest.raises(ValueError, match=f"mode '{row.mode}' needs calibration data"):
        tfc.convert(dense_model, row.mode)


def test_only_what_a_row_has_is_stored():
    assert is_stored(Codes(8, symmetric=True, narrow=True))
    assert not is_stored(Codes(8)) and not is_stored(Codes(4, symmetric=True, narrow=True))
    assert activations_of(16).symmetric and not activations_of(8).symmetric
    assert activations_of(4) is activations_of(None) is None


@pytest.mark.parametrize(
    "bits, mode",
    [((8, 8), "int8"), ((8, 16), "int16x8"), ((8, None), "dynamic"), ((4, 8), "int8"), ((None, 8), "int8")],
)
def test_the_mode_of_what_was_trained(bits, mode):
    assert mode_of(*bits) == mode


def test_weights_with_a_zero_point_are_refused_by_a_file_without(dense_model, rows_of_data):
    spec = tfc.QuantSpec(8, 16, symmetric_weights=False, symmetric_activations=True)
    compression = tfc.Compression([tfc.Quantize(spec)], verbose=0)
    dense_model.compile("sgd", "mse")
    dense_model.fit(rows_of_data, np.zeros((len(rows_of_data), 64)), callbacks=[compression], verbose=0)
    assert FORMATS["int16x8"].calibration == ALWAYS
    with pytest.raises(ValueError, match="holds symmetric 8-bit weights and symmetric 16-bit activations"):
        compression.convert(calibration=rows_of_data)
