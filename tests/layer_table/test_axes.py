"""Axes: what the letters of a weight's axes mean, counted out by hand."""

import numpy as np
import pytest

from tfcompress.layer_table.axes import LETTERS, Axes


@pytest.mark.parametrize(
    "letters, outputs, inputs",
    [
        ("io", (1,), (0,)),
        ("xyio", (3,), (0, 1, 2)),
        ("xyoi", (2,), (0, 1, 3)),
        ("xycm", (2, 3), (0, 1)),
        ("rg", (1,), (0,)),
        ("ind", (1, 2), (0,)),
        ("reo", (2,), (0, 1)),
        ("jjo", (2,), (0, 1)),
        ("vo", (1,), (0,)),
        ("c", (0,), ()),
    ],
)
def test_outputs_and_inputs_are_all_axes(letters, outputs, inputs):
    axes = Axes(letters)
    assert axes.outputs == outputs and axes.inputs == inputs
    shape = tuple(range(2, 2 + len(letters)))
    assert axes.number_of_outputs(shape) == np.prod([shape[k] for k in outputs])
    assert axes.shape_of_outputs(shape) == [n if k in outputs else 1 for k, n in enumerate(shape)]


def test_every_letter_is_an_output_or_an_input():
    for letter in LETTERS:
        assert len(Axes(letter).outputs) + len(Axes(letter).inputs) == 1


def test_a_matrix_has_a_column_for_each_output():
    w = np.arange(24.0).reshape(2, 3, 4)
    matrix, restore = Axes("ind").matrix(w)
    np.testing.assert_array_equal(matrix[:, 5], w[:, 1, 1])
    np.testing.assert_array_equal(restore(matrix), w)
    matrix, restore = Axes("reo").matrix(w)
    np.testing.assert_array_equal(matrix[:, 2], w[:, :, 2].reshape(-1))
    np.testing.assert_array_equal(restore(matrix), w)
    matrix, restore = Axes("c").matrix(np.arange(3.0))
    assert matrix.shape == (1, 3) and restore(matrix).tolist() == [0, 1, 2]


def test_kinds_of_kernels():
    assert Axes("xyoi").is_transposed and not Axes("xyio").is_transposed and not Axes("vo").is_transposed
    assert Axes("xyio").is_convolution and Axes("xjo").is_convolution and not Axes("xycm").is_convolution
    assert Axes("io").is_matrix and Axes("io").mixes and not Axes("cm").mixes
    assert Axes("vo").is_table and Axes("rg").has_gates and Axes("cm").has_multiplier and Axes("xjo").is_grouped
    assert Axes("ind").heads == (1,) and Axes("reo").inner == (0,) and Axes("reo").reads == (0, 1)
    assert not Axes("ig").is_plain and Axes("xycm").is_plain


def test_axes_are_text_that_can_be_cut_and_filled():
    assert Axes("xyio") == "xyio" and Axes("c").filled(3) == "jjc" and Axes("xyio").without(2) == "xyo"
    assert Axes("xyio").without(2).space == (0, 1)
    assert Axes("xyio").shape_of_inputs((3, 3, 4, 5)) == [1, 1, 4, 1]
    assert Axes("xyio").number_of_inputs((3, 3, 4, 5)) == 4
