"""Laws of quantization specifications: codes, presets, JSON, refused values."""

import dataclasses
import json

import keras
import pytest

from tfcompress.quant_spec import QuantSpec, quant_spec


@pytest.mark.parametrize("bits", range(2, 17))
def test_codes_of_a_symmetric_grid_are_narrow_and_of_an_asymmetric_one_full(bits):
    spec = QuantSpec(weight_bits=bits, activation_bits=bits)
    low, high = spec.weight_codes
    assert low == -high and high - low + 1 == 2**bits - 1
    low, high = spec.activation_codes
    assert low == -high - 1 and high - low + 1 == 2**bits


def test_int8_is_the_grid_of_the_integer_kernels():
    spec = QuantSpec.preset("int8")
    assert spec == QuantSpec() == quant_spec("int8")
    assert spec.weight_codes == (-127, 127)
    assert spec.activation_codes == (-128, 127)
    assert spec.per_channel == "auto"


@pytest.mark.parametrize(
    "name, weight_bits, activation_bits, symmetric_activations",
    [
        ("int8", 8, 8, False),
        ("weights", 8, None, False),
        ("int16x8", 8, 16, True),
        ("w8a8", 8, 8, False),
        ("w4a8", 4, 8, False),
        ("w2a8", 2, 8, False),
        ("w4a16", 4, 16, True),
        ("w16a16", 16, 16, True),
    ],
)
def test_presets(name, weight_bits, activation_bits, symmetric_activations):
    spec = QuantSpec.preset(name)
    assert (spec.weight_bits, spec.activation_bits) == (weight_bits, activation_bits)
    assert spec.symmetric_activations is symmetric_activations
    assert spec.symmetric_weights


def test_float_sides_have_no_codes():
    assert QuantSpec.preset("weights").activation_codes is None
    assert QuantSpec(weight_bits=None).weight_codes is None


@pytest.mark.parametrize(
    "spec",
    [QuantSpec(), QuantSpec.preset("weights"), QuantSpec(4, 16, False, True, True, "learned", 0.5)],
)
def test_json_round_trip(spec):
    text = json.dumps(keras.saving.serialize_keras_object(spec))
    assert keras.saving.deserialize_keras_object(json.loads(text)) == spec


def test_specs_are_frozen_values():
    assert hash(QuantSpec()) == hash(QuantSpec.preset("int8"))
    assert dataclasses.replace(QuantSpec(), weight_bits=4) == QuantSpec.preset("w4a8")
    with pytest.raises(dataclasses.FrozenInstanceError):
        QuantSpec().weight_bits = 4


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: QuantSpec(weight_bits=1), ValueError, r"weight_bits must be in 2\.\.16.*=1"),
        (lambda: QuantSpec(activation_bits=32), ValueError, r"activation_bits must be in 2\.\.16"),
        (lambda: QuantSpec(weight_bits="int8"), TypeError, r"weight_bits must be an int or None"),
        (lambda: QuantSpec(weight_bits=True), TypeError, r"weight_bits must be an int or None"),
        (lambda: QuantSpec(None, None), ValueError, r"nothing would be quantized"),
        (lambda: QuantSpec(symmetric_weights=1), TypeError, r"symmetric_weights must be True"),
        (lambda: QuantSpec(per_channel="yes"), ValueError, r"per_channel must be .*'yes'"),
        (lambda: QuantSpec(ranges="minmax"), ValueError, r"ranges must be one of .*'minmax'"),
        (lambda: QuantSpec(momentum=1.0), ValueError, r"momentum must be in \[0, 1\)"),
        (lambda: QuantSpec(percentile=0.999), ValueError, r"percentile must be in \(50, 100\]"),
        (lambda: QuantSpec.preset("int4"), ValueError, r"preset must be .*'int4'"),
        (lambda: QuantSpec.preset("w1a8"), ValueError, r"weight_bits must be in 2\.\.16"),
        (lambda: quant_spec(8), TypeError, r"preset such as .*8 of type int"),
    ],
)
def test_bad_input_is_named(make, error, message):
    with pytest.raises(error, match=message):
        make()
