"""The estimate of energy: each file's figures worked out by hand from the published table."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L

import tfcompress as tfc
from tfcompress.evaluate.energy_table import HOROWITZ_2014, EnergyTable

pytestmark = pytest.mark.filterwarnings("ignore:Statistics for quantized inputs were expected")

# pJ of Horowitz, ISSCC 2014, figure 1.1.9 (45 nm, 0.9 V): operations, and 64 bits from 8 kB, 32 kB, 1 MB and DRAM.
FLOAT_MULT, FLOAT_ADD, HALF_MULT, HALF_ADD = 3.7, 0.9, 1.1, 0.4
INT8_MULT, INT8_ADD, INT32_MULT, INT32_ADD = 0.2, 0.03, 3.1, 0.1
SMALL, MIDDLE, LARGE, DRAM = 10 / 8, 20 / 8, 100 / 8, 1300 / 8  # per byte


def _model(layer, *shape):
    model = keras.Sequential([keras.Input(shape), layer])
    for weight in model.weights:  # a bias of zeros would be left out of the file
        weight.assign(np.random.default_rng(1).normal(size=weight.shape))
    return model


def _file(model, mode="float32"):
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if mode != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if mode == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if mode in ("int8", "int16x8"):
        rng = np.random.default_rng(0)
        shape = (1, *model.input_shape[1:])
        converter.representative_dataset = lambda: ([rng.random(shape, np.float32)] for _ in range(4))
    if mode == "int8":
        converter.inference_input_type = converter.inference_output_type = tf.int8
    if mode == "int16x8":
        sets = tf.lite.OpsSet
        converter.target_spec.supported_ops = [sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int16
    return converter.convert()


def _only(found, op):
    (row,) = (row for row in found.rows if row["op"] == op)
    return row


def test_a_float_dense_layer():
    found = tfc.energy(_file(_model(L.Dense(3), 4)))
    assert found.operations == {"float32 mult": 12, "float32 add": 12 + 3}
    assert found.operations_pj == pytest.approx(12 * FLOAT_MULT + 15 * FLOAT_ADD)
    assert found.memory_pj == pytest.approx((4 * (12 + 3) + 4 * (4 + 3)) * SMALL)
    assert found.pj == pytest.approx(57.9 + 110.0) and found.uj == pytest.approx(167.9e-6)
    assert found.weights_in == "cache 8 kB"


def test_an_int8_dense_layer():
    found = tfc.energy(_file(_model(L.Dense(3), 4), "int8"))
    macs, outputs = 12, 3
    row = _only(found, "FULLY_CONNECTED")
    assert row["operations"] == {
        "int8 mult": macs,
        "int32 add": macs + outputs + outputs,  # sums, bias, zero point of the output
        "int32 mult": outputs,  # scale of the output
    }
    spent = macs * INT8_MULT + (macs + 2 * outputs) * INT32_ADD + outputs * INT32_MULT
    assert row["operations_pj"] == pytest.approx(spent)
    assert (row["weight_bytes"], row["activation_bytes"]) == (12 + 4 * 3, 4 + 3)
    assert row["memory_pj"] == pytest.approx((24 + 7) * SMALL)


def test_an_int16_dense_layer_lies_between_the_widths_of_the_table():
    row = _only(tfc.energy(_file(_model(L.Dense(3), 4), "int16x8")), "FULLY_CONNECTED")
    assert row["operations"]["int16x8 mult"] == 12 and row["operations"]["int64 add"] == 12 + 3
    product = INT8_MULT + (16 * 8 - 64) / (1024 - 64) * (INT32_MULT - INT8_MULT)
    total = INT8_ADD + (64 - 8) / (32 - 8) * (INT32_ADD - INT8_ADD)
    assert row["operations_pj"] == pytest.approx(12 * product + 15 * total + 3 * (INT32_MULT + INT32_ADD))
    assert (row["weight_bytes"], row["activation_bytes"]) == (12 + 8 * 3, 2 * (4 + 3))


def test_a_dynamic_range_dense_layer_multiplies_in_int8_and_scales_in_float():
    row = _only(tfc.energy(_file(_model(L.Dense(40), 32), "dynamic")), "FULLY_CONNECTED")
    macs, read, written = 32 * 40, 32, 40
    assert row["operations"] == {
        "int8 mult": macs,
        "int32 add": macs,
        "float32 mult": read + written,
        "float32 add": read + written,  # the largest input is searched, the bias is added
    }
    assert (row["weight_bytes"], row["activation_bytes"]) == (macs + 4 * written, 4 * (read + written))


@pytest.mark.parametrize(
    ("layer", "op", "macs", "weights"),
    [
        (L.Conv2D(6, 3), "CONV_2D", 9 * 4 * 6 * 36, 9 * 4 * 6),
        (L.DepthwiseConv2D(3), "DEPTHWISE_CONV_2D", 9 * 4 * 36, 9 * 4),
    ],
    ids=["conv", "depthwise"],
)
def test_convolutions(layer, op, macs, weights):
    model = _model(layer, 8, 8, 4)
    channels = model.output_shape[-1]
    written, read = 36 * channels, 8 * 8 * 4
    row = _only(tfc.energy(_file(model)), op)
    assert row["operations"] == {"float32 mult": macs, "float32 add": macs + written}
    assert (row["weight_bytes"], row["activation_bytes"]) == (4 * (weights + channels), 4 * (read + written))
    row = _only(tfc.energy(_file(model, "int8")), op)
    assert row["operations"] == {"int8 mult": macs, "int32 add": macs + 2 * written, "int32 mult": written}
    assert (row["weight_bytes"], row["activation_bytes"]) == (weights + 4 * channels, read + written)


def test_a_float16_file_is_a_float32_one_where_there_is_no_half_precision():
    content = _file(_model(L.Dense(3), 4), "float16")
    found = tfc.energy(content)
    assert found.pj == pytest.approx(167.9)  # the weights are widened once, when the file is loaded
    half = tfc.energy(content, half=True)
    assert half.operations == {"float16 mult": 12, "float16 add": 15}
    assert half.pj == pytest.approx(12 * HALF_MULT + 15 * HALF_ADD + 2 * (15 + 7) * SMALL)


@pytest.mark.parametrize(
    ("width", "per_byte", "name"),
    [(40, SMALL, "cache 8 kB"), (80, MIDDLE, "cache 32 kB"), (500, LARGE, "cache 1 MB"), (520, DRAM, "DRAM")],
)
def test_weights_lie_in_the_smallest_memory_that_holds_them_all(width, per_byte, name):
    found = tfc.energy(_file(_model(L.Dense(width, use_bias=False), width)))
    (row,) = found.rows
    assert found.weights_in == name
    assert row["memory_pj"] == pytest.approx(4 * width**2 * per_byte + 4 * 2 * width * SMALL)


def test_activations_lie_in_the_smallest_memory_that_holds_those_of_the_operation():
    row = _only(tfc.energy(_file(_model(L.MaxPooling2D(2), 64, 64, 1))), "MAX_POOL_2D")
    assert row["operations"] == {"float32 add": 64 * 64}  # one comparison for each value read
    assert row["memory_pj"] == pytest.approx(4 * (64 * 64 + 32 * 32) * MIDDLE)


def test_a_sum_of_int8_values_rescales_each_term():
    a, b = keras.Input((5,)), keras.Input((5,))
    converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model([a, b], L.Add()([a, b])))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    rng = np.random.default_rng(0)
    converter.representative_dataset = lambda: ([rng.random((1, 5), np.float32) * s for s in (1, 3)] for _ in range(4))
    row = _only(tfc.energy(converter.convert()), "ADD")
    assert row["operations"] == {"int32 mult": 2 * 5, "int32 add": 2 * 5 + 5}


def test_a_picked_row_is_read_and_not_the_whole_table():
    model = keras.Sequential([keras.Input((3,), dtype="int32"), L.Embedding(1000, 8)])
    row = _only(tfc.energy(_file(model)), "GATHER")
    assert row["operations"] == {} and row["weight_bytes"] >= 4 * 3 * 8
    assert row["weight_bytes"] < 4 * 3 * 8 + 16


def test_int8_takes_less_than_float_and_the_text_says_what_the_figures_are(net_files):
    plain, int8 = (tfc.energy(content) for content in net_files)
    assert 3 * int8.pj < plain.pj
    text = str(plain)
    for said in ("45 nm", "2014", "Horowitz", "ISSCC 2014", "for comparing files, not for the battery of a phone"):
        assert said in text
    assert sum(row["pj"] for row in plain.rows) == pytest.approx(plain.operations_pj + plain.memory_pj)


def test_another_table_is_used(net_files):
    doubled = EnergyTable(
        name="twice",
        source="here",
        operations={name: 2 * pj for name, pj in HOROWITZ_2014.operations.items()},
        memories=tuple((name, size, 2 * pj) for name, size, pj in HOROWITZ_2014.memories),
        access_bytes=8,
    )
    assert tfc.energy(net_files[1], table=doubled).pj == pytest.approx(2 * tfc.energy(net_files[1]).pj)


def test_faults_are_named(net_files, to_file, flex_file):
    with pytest.raises(TypeError, match=r"energy: table .*EnergyTable"):
        tfc.energy(net_files[0], table={"int8 add": 0.03})
    with pytest.raises(TypeError, match=r"energy: half .*True or False"):
        tfc.energy(net_files[0], half=1)
    with pytest.raises(TypeError, match="artifacts: expected"):
        tfc.energy(3)
    with pytest.raises(ValueError, match="energy: can't count WHILE"):
        tfc.energy(to_file(keras.Sequential([keras.Input((5, 4)), L.LSTM(3, unroll=False)])))
    with pytest.raises(ValueError, match="energy: can't count Flex"):
        tfc.energy(flex_file)
    with pytest.raises(ValueError, match="no figure for 'float64 mult'"):
        HOROWITZ_2014.operation_pj("float64 mult")
    with pytest.raises(ValueError, match="no memory of the table 'a' holds 9 bytes"):
        EnergyTable("a", "b", {}, (("cache", 8, 1.0),), 8).memory_for(9)
