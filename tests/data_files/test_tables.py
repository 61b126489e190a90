"""Tables become samples as NumPy reads their numbers; whatever does not fit is named by row and column."""

import csv

import numpy as np
import pytest

from tfcompress.data_files.reading import read_data

FOUR = [("x", (2, 2), "float32")]
TWO = [("a", (2,), "float32"), ("ids", (1,), "int32")]
NUMBERS = np.random.default_rng(0).normal(size=(6, 4)).round(4)
CLASSES = ["cat", "ant", "cat", "dog", "ant", "dog"]


@pytest.fixture
def table(tmp_path):
    """Writes rows with Python's csv and returns the path."""

    def write(*rows):
        with open(tmp_path / "a.csv", "w", newline="") as file:
            csv.writer(file).writerows(rows)
        return str(tmp_path / "a.csv")

    return write


@pytest.mark.parametrize("name", ["label", "Class", " TARGET", "y", "species"])
@pytest.mark.parametrize("header", [True, False])
def test_text_labels_are_numbered_in_sorted_order(name, header, table):
    rows = [[*row, word] for row, word in zip(NUMBERS, CLASSES, strict=True)]
    path = table(*([["a", "b", "c", "d", name]] if header else []), *rows)
    data = read_data(path, FOUR)
    names, expected = np.unique(CLASSES, return_inverse=True)
    expected_x = np.loadtxt(path, "float32", delimiter=",", skiprows=int(header), usecols=range(4))
    np.testing.assert_array_equal(data.x, expected_x.reshape(6, 2, 2))
    assert data.x.dtype == np.float32 and data.classes == tuple(names) and data.y.tolist() == expected.tolist()


def test_the_label_may_stand_first(table):
    path = table(["label", *"abcd"], *([k, *row] for k, row in enumerate(NUMBERS)))
    data = read_data(path, FOUR)
    np.testing.assert_array_equal(data.x.reshape(6, 4), NUMBERS.astype("float32"))
    assert data.y.tolist() == [0, 1, 2, 3, 4, 5] and data.y.dtype == np.int64 and data.classes is None


def test_y_is_a_coordinate_where_it_is_needed_as_a_feature(table):
    path = table(["x", "y", "z", "w"], *NUMBERS)
    assert read_data(path, FOUR).y is None
    path = table(["y", "x", "z", "w", "v"], *([0.5, *row] for row in NUMBERS))
    data = read_data(path, FOUR)
    assert data.y.tolist() == [0.5] * 6
    np.testing.assert_array_equal(data.x.reshape(6, 4), NUMBERS.astype("float32"))


def test_no_label_no_header_a_mark_of_the_byte_order_and_empty_lines(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbf1,2,3,4\r\n\r\n5,6,7,8\r\n")
    data = read_data(str(tmp_path / "a.csv"), FOUR)
    np.testing.assert_array_equal(data.x, [[[1, 2], [3, 4]], [[5, 6], [7, 8]]])
    assert data.y is None


def test_several_inputs_by_the_names_of_columns(table):
    path = table(["ids", "label", "a_1", "a_0"], [2**24 + 1, "b", 2, 1], [4, "a", 5, 6])
    data = read_data(path, TWO)
    np.testing.assert_array_equal(data.x["a"], [[1, 2], [6, 5]])
    assert data.x["ids"].tolist() == [[2**24 + 1], [4]] and data.x["ids"].dtype == np.int32
    assert data.y.tolist() == [1, 0] and data.classes == ("a", "b")


def test_any_length(table):
    assert read_data(table(*NUMBERS), [("x", (None, 2), "float32")]).x.shape == (6, 2, 2)


def test_a_limit_is_at_even_distances(table):
    data = read_data(table(*([k, k, k, k, k] for k in range(9))), FOUR, limit=3)
    assert data.y.tolist() == [0, 4, 8] and data.x[:, 0, 0].tolist() == [0, 4, 8]


@pytest.mark.parametrize(
    "inputs, rows, message",
    [
        (FOUR, [["a", "b"], [1, 2]], r"has 2 columns, and the model takes 4 numbers, \(n, 2, 2\)"),
        (FOUR, [["label", "a"], [1, 2]], "has 2 columns, 1 of them features, and the model takes 4"),
        (FOUR, [["", *"abc", "d", "label"], [0, 1, 2, 3, 4, 1]], "column without a name is an index"),
        (FOUR, [[*"abcd"], [1, 2, "", 4]], r"row 2, column 3 \('c'\): the cell is empty"),
        (FOUR, [[1, 2, 3, 4], [1, 2, "x", 4]], "row 2, column 3: 'x' is no finite number"),
        (FOUR, [[1, 2, 3, 4], [1, 2, "nan", 4]], "row 2, column 3: 'nan' is no finite number"),
        (FOUR, [[1, 2, 3, 4], [1, 2, "1e300", 4]], "row 2, column 3: '1e300' is no finite number"),
        (FOUR, [[*"abcd", "y"], [1, 2, 3, 4, ""]], r"row 2, column 5 \('y'\): the label is empty"),
        (FOUR, [[1, 2, 3, 4], [1, 2, 3]], "row 2 has 3 cells, the first one 4"),
        (FOUR, [[*"abcd", "label", "class"], [1] * 6], "several columns may be the label: 'label', 'class'"),
        (FOUR, [["a", "a", "c", "d"], [1] * 4], "there are several columns 'a'"),
        (FOUR, [[*"abcd"]], "has a header and no rows"),
        (FOUR, [], "is empty"),
        (TWO, [["a_0", "a_2", "ids"], [1, 2, 3]], "named by the inputs: a_0 ... a_1"),
        (TWO, [[1, 2, 3]], "named by the inputs: a_0 ... a_1, ids. Found: no header"),
        (TWO, [["a_0", "a_1", "ids", "age"], [1, 2, 3, 4]], "no input of the model takes the columns 'age'"),
        (
            TWO,
            [["a_0", "a_1", "ids"], [1, 2, 3.5]],
            r"row 2, column 3 \('ids'\): input 'ids' takes whole int32 numbers",
        ),
    ],
)
def test_errors_name_row_and_column(inputs, rows, message, table):
    with pytest.raises(ValueError, match=f"--data=.*a.csv: .*{message}"):
        read_data(table(*rows), inputs)


def test_other_encodings_are_refused(tmp_path):
    (tmp_path / "a.csv").write_bytes("1,2,3,grün\n".encode("latin-1"))
    with pytest.raises(ValueError, match="is no CSV file in UTF-8"):
        read_data(str(tmp_path / "a.csv"), FOUR)
