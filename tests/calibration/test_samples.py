"""Every accepted form gives the same samples; every kind of bad data is named."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfcompress.calibration.samples import samples

COUNT = 24
IMAGE = [("image", (6, 6, 1), "float32")]
slices = tf.data.Dataset.from_tensor_slices
TWO = [("left", (4,), "float32"), ("right", (3, 2), "float32")]


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).random((COUNT, 6, 6, 1), np.float32)


@pytest.fixture(scope="module")
def two():
    rng = np.random.default_rng(1)
    return {
        "left": rng.random((COUNT, 4), np.float32),
        "right": rng.random((COUNT, 3, 2), np.float32),
    }


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def __len__(self):
        return COUNT // 8

    def __getitem__(self, index):
        part = slice(8 * index, 8 * index + 8)
        return self.x[part], self.y[part]


# What a user may pass, made from the samples x and the labels y.
FORMS = {
    "array": lambda x, y: x,
    "tensor": lambda x, y: tf.constant(x),
    "float64": lambda x, y: x.astype("float64"),
    "dict": lambda x, y: {"image": x},
    "list of one array": lambda x, y: [x],
    "x and y": lambda x, y: (x, y),
    "x, y and weights": lambda x, y: (x, y, np.ones(COUNT)),
    "list of samples": lambda x, y: list(x),
    "list of samples with batch axis": lambda x, y: [each[None] for each in x],
    "list of batches": lambda x, y: [x[:10], x[10:12], x[12:]],
    "list of dicts": lambda x, y: [{"image": each} for each in x],
    "list of lists": lambda x, y: [[each[None]] for each in x],
    "nested numbers": lambda x, y: x.tolist(),
    "dataset": lambda x, y: slices(x),
    "batched dataset": lambda x, y: slices(x).batch(7),
    "dataset with labels": lambda x, y: slices((x, y)).batch(5),
    "endless dataset": lambda x, y: slices(x).repeat(),
    "dataset of dicts with labels": lambda x, y: slices(({"image": x}, y)).batch(5),
    "generator": lambda x, y: (each for each in x),
    "generator of batches": lambda x, y: ((x[i : i + 8], y[i : i + 8]) for i in range(0, COUNT, 8)),
    "function": lambda x, y: lambda: ([each[None]] for each in x),
    "keras dataset": lambda x, y: Batches(x, y),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_samples(x, form):
    ready = samples(FORMS[form](x, np.arange(COUNT)), IMAGE, limit=COUNT)
    assert len(ready) == COUNT
    for sample, expected in zip(ready, x, strict=True):
        assert list(sample) == ["image"] and sample["image"].dtype == np.float32
        np.testing.assert_array_equal(sample["image"], expected[None])


FORMS_OF_TWO = {
    "dict": lambda two, y: two,
    "dict in other order": lambda two, y: {"right": two["right"], "left": two["left"]},
    "list": lambda two, y: [two["left"], two["right"]],
    "tuple": lambda two, y: (two["left"], two["right"]),
    "dict and y": lambda two, y: (two, y),
    "list and y": lambda two, y: ([two["left"], two["right"]], y),
    "dataset": lambda two, y: slices(two),
    "dataset of tuples and labels": lambda two, y: slices(((two["left"], two["right"]), y)).batch(5),
    "dataset of tuples": lambda two, y: slices((two["left"], two["right"])).batch(5),
    "generator of dicts": lambda two, y: ({name: two[name][i] for name in two} for i in range(COUNT)),
    "function": lambda two, y: lambda: ([two["left"][i : i + 1], two["right"][i : i + 1]] for i in range(COUNT)),
}


@pytest.mark.parametrize("form", FORMS_OF_TWO)
def test_every_form_of_two_inputs_gives_the_same_samples(two, form):
    ready = samples(FORMS_OF_TWO[form](two, np.arange(COUNT)), TWO, limit=COUNT)
    assert len(ready) == COUNT
    for index, sample in enumerate(ready):
        assert set(sample) == {"left", "right"}
        for name in two:
            np.testing.assert_array_equal(sample[name], two[name][index : index + 1])


def test_a_folder_of_pictures(tmp_path):
    for value in range(12):
        Image.new("L", (12, 12), value).save(tmp_path / f"{value:02d}.png")
    ready = samples(tmp_path, IMAGE, scale=1 / 255, value_range=(0, 1))
    assert [round(float(each["image"].max() * 255)) for each in ready] == list(range(12))
    with pytest.raises(ValueError, match="one input"):
        samples(str(tmp_path), TWO)


def test_a_limit_takes_arrays_at_even_distances(x):
    ready = samples(x, IMAGE, limit=12)
    assert len(ready) == 12
    np.testing.assert_array_equal(ready[0]["image"], x[:1])
    np.testing.assert_array_equal(ready[-1]["image"], x[-1:])


def test_arrays_are_not_copied(x):
    assert all(np.shares_memory(each["image"], x) for each in samples(x, IMAGE))


def test_sizes_may_be_open():
    rows = np.random.default_rng(0).random((12, 9, 3), np.float32)
    assert samples(rows, [("sequence", (None, 3), "float32")])[0]["sequence"].shape == (1, 9, 3)


def test_token_numbers_keep_their_type():
    tokens = np.arange(60).reshape(12, 5)
    ready = samples(tokens, [("tokens", (5,), "int32")])
    assert ready[3]["tokens"].dtype == np.int32
    with pytest.raises(ValueError, match="whole int32"):
        samples(tokens + 0.5, [("tokens", (5,), "int32")])


def test_too_few_samples_are_refused_or_warned_of(x):
    with pytest.raises(ValueError, match="at least 1 samples are needed. Received: 0"):
        samples(x[:0], IMAGE)
    with pytest.raises(ValueError, match="at least 1 samples are needed. Received: 0"):
        samples([], IMAGE)
    with pytest.raises(ValueError, match="at least 20 samples are needed. Received: 5"):
        samples(x[:5], IMAGE, minimum=20)
    with pytest.warns(UserWarning, match="5 samples give poor ranges"):
        samples(x[:5], IMAGE)


def test_samples_without_any_variation_are_warned_of():
    with pytest.warns(UserWarning, match="every value of input 'image' is 0.0"):
        samples(np.zeros((16, 6, 6, 1)), IMAGE)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(x, bad):
    broken = x.copy()
    broken[7, 2, 2, 0] = bad
    with pytest.raises(ValueError, match="'image', sample 7: 1 of 36 values are NaN or infinite"):
        samples(broken, IMAGE)


@pytest.mark.parametrize(
    ("shape", "hint"),
    [
        ((24, 6, 6), r"channel axis is missing: x\[\.\.\., None\]"),
        ((24, 6, 7, 1), r"Received: an array of shape \(1, 6, 7, 1\)"),
        ((24, 36), r"Received: an array of shape \(24, 36\)"),
    ],
)
def test_wrong_shapes_are_refused(shape, hint):
    with pytest.raises(ValueError, match=hint):
        samples(np.ones(shape), IMAGE)


@pytest.mark.parametrize("dtype", ["U3", "O", "complex64", "datetime64[s]"])
def test_types_that_are_no_numbers_are_refused(dtype):
    with pytest.raises(TypeError, match="must hold numbers"):
        samples(np.zeros((12, 6, 6, 1)).astype(dtype), IMAGE)


def test_values_out_of_range_are_refused_with_a_hint(x):
    with pytest.raises(ValueError, match=r"value_range=\(0, 1\)\. Did you forget to divide by 255"):
        samples((x * 255).round(), IMAGE, value_range=(0, 1))
    with pytest.raises(ValueError, match=r"values from -0\.9"):
        samples(x * 2 - 1, IMAGE, value_range={"image": (0, 1)})
    assert len(samples(x, IMAGE, value_range=(0, 1))) == COUNT


@pytest.mark.parametrize("value_range", [(1, 0), (0, 1, 2), {"picture": (0, 1)}])
def test_bad_ranges_are_refused(x, value_range):
    with pytest.raises(ValueError, match="value_range must"):
        samples(x, IMAGE, value_range=value_range)


@pytest.mark.parametrize(
    ("calibration", "error", "text"),
    [
        (None, ValueError, "Received: None"),
        (42, TypeError, "Received: int"),
        (lambda: 42, TypeError, "Received: int"),
        ("no/such/folder", ValueError, "does not exist"),
        (__file__, ValueError, "is a file"),
        ({"picture": np.zeros((12, 6, 6, 1))}, ValueError, r"inputs \['image'\]"),
        ([[1, 2], [3]], ValueError, "same shape"),
    ],
)
def test_other_forms_are_refused(calibration, error, text):
    with pytest.raises(error, match=text):
        samples(calibration, IMAGE)


def test_mismatching_inputs_are_refused(two):
    with pytest.raises(ValueError, match="different numbers of samples"):
        samples({"left": two["left"][:5], "right": two["right"]}, TWO)
    with pytest.raises(ValueError, match="has 2 inputs"):
        samples(two["left"], TWO)


@pytest.mark.parametrize(("minimum", "limit"), [(0, 10), (11, 10)])
def test_bad_limits_are_refused(x, minimum, limit):
    with pytest.raises(ValueError, match="1 <= minimum <= limit"):
        samples(x, IMAGE, minimum=minimum, limit=limit)
