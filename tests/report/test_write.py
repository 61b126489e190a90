"""One call compares, reports and writes; its page names no paths."""

import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.evaluate.compare import compare

QUIET = {"latency": False, "verbose": 0}


@pytest.fixture
def data(small_net, net_images):
    y = small_net.predict(net_images, verbose=0).argmax(axis=1)
    y[::5] = (y[::5] + 1) % 3
    return net_images, y


def test_it_writes_what_compare_measures(small_net, net_files, data, tmp_path):
    (tmp_path / "secret" / "place").mkdir(parents=True)
    path = tmp_path / "secret" / "place" / "int8.tflite"
    path.write_bytes(net_files[1])
    report = tfc.write_report(small_net, path, data, tmp_path / "out", labels=["cat", "dog", "owl"], **QUIET)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page == report.html() and (tmp_path / "out" / "report.txt").read_text(encoding="utf-8") == report.text()
    row = compare(small_net, {"int8": net_files[1]}, data, **QUIET)["int8"]
    assert f"{row['bytes']:,}" in page and f"{row['accuracy']:.4f}" in page
    assert "cat" in page and "Wrong samples" in page and "data:image/png;base64," in page
    assert "secret" not in page + report.text()


def test_samples_of_a_shuffled_dataset_are_those_that_were_judged(small_net, net_files, data):
    import tensorflow as tf

    x, y = data
    x = np.round(x * 255).astype("float32")
    dataset = tf.data.Dataset.from_tensor_slices((x / 255, y)).shuffle(64).batch(16)
    found = compare(small_net, {"int8": net_files[1]}, dataset, **QUIET).answers
    np.testing.assert_array_equal(found.predicted[0], small_net.predict(found.inputs, verbose=0).argmax(-1))


@pytest.mark.parametrize("labels", [["cat", "dog"], list("abcd")])
def test_labels_must_be_as_many_as_the_classes(small_net, net_files, data, labels):
    with pytest.raises(ValueError, match="labels must be the names of the 3 classes"):
        tfc.write_report(small_net, net_files[1], data, labels=labels, **QUIET)


def test_a_regression_has_no_classes_to_name(small_net, net_files, data):
    targets = np.random.default_rng(0).normal(size=(len(data[0]), 3))
    assert "Mean error" in tfc.write_report(small_net, net_files[1], (data[0], targets), **QUIET).text()
    with pytest.raises(ValueError, match="labels must be None, as there are none"):
        tfc.write_report(small_net, net_files[1], (data[0], targets), labels=["a"], **QUIET)
