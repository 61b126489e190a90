"""Pictures have Keras' labels and Pillow's pixels, whatever their sizes and modes."""

import keras
import numpy as np
import pytest
from PIL import Image

from tfcompress.data_files.reading import read_data

INPUT = [("image", (8, 6, 3), "float32")]


@pytest.fixture
def folders(tmp_path, picture):
    """Five pictures in class folders; some of other modes, one class in sub-folders."""
    root = tmp_path / "photos"
    picture(root / "dog" / "1.png")
    picture(root / "dog" / "deep" / "2.png", size=(30, 7), seed=1)
    picture(root / "ant" / "grey.PNG", mode="L", seed=2)
    picture(root / "cat" / "clear.png", mode="RGBA", seed=3)
    Image.open(root / "dog" / "1.png").convert("P").save(root / "cat" / "palette.gif")
    (root / "cat" / "notes.txt").write_text("no picture")
    (root / ".hidden").mkdir()
    picture(root / ".hidden" / "x.png")
    picture(root / "dog" / "._1.png")
    return root


def pillow(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((6, 8), Image.Resampling.BILINEAR))


def test_labels_are_those_of_keras_and_pixels_those_of_pillow(folders):
    data = read_data(str(folders), INPUT)
    assert data.x.dtype == np.uint8 and data.x.shape == (5, 8, 6, 3)
    paths = [folders / p for p in ("ant/grey.PNG", "cat/clear.png", "cat/palette.gif", "dog/1.png", "dog/deep/2.png")]
    np.testing.assert_array_equal(data.x, [pillow(path) for path in paths])
    (folders / "dog" / "._1.png").unlink()
    expected = keras.utils.image_dataset_from_directory(folders, shuffle=False, batch_size=None, verbose=False)
    assert list(data.classes) == expected.class_names == ["ant", "cat", "dog"]
    assert data.y.tolist() == [int(y) for _, y in expected]
    assert data.name == "photos" and data.notes == ()


def test_grey_inputs_without_a_channel_axis(folders):
    data = read_data(str(folders), [("image", (8, 6), "float32")])
    grey = Image.open(folders / "dog" / "1.png").convert("L").resize((6, 8), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(data.x[3], np.asarray(grey))


def test_parts(tmp_path, picture):
    for part, count in (("Train", 3), ("val", 2), ("test", 1)):
        for name in "ab":
            for k in range(count):
                picture(tmp_path / part / name / f"{k}.png", seed=k)
    data = read_data(str(tmp_path), INPUT)
    assert data.x.shape[0] == 6 and data.x_test.shape[0] == 2
    assert data.y.tolist() == [0, 0, 0, 1, 1, 1] and data.y_test.tolist() == [0, 1]
    assert data.held_out()[0] is data.x_test
    assert data.notes == (f"{tmp_path.name}: val is not read, test is the test part",)


def test_only_the_part_that_is_used_is_decoded(tmp_path, picture):
    for part in ("train", "test"):
        for name in "ab":
            picture(tmp_path / part / name / "1.png", size=(6, 8))
    for name, other in (("train", "test"), ("held_out", "train")):
        bad = tmp_path / other / "a" / "bad.png"
        bad.write_bytes(b"no picture")
        data = read_data(str(tmp_path), INPUT, part=name)
        assert data.x.shape[0] == 2 and data.y.tolist() == [0, 1] and data.x_test is None
        bad.unlink()


@pytest.mark.parametrize("part", ["val", "validation", "test"])
def test_each_name_of_a_test_part(part, tmp_path, picture):
    for top in ("train", part):
        picture(tmp_path / top / "1.png")
    data = read_data(str(tmp_path), INPUT)
    assert data.y is data.y_test is None and len(data.x) == len(data.x_test) == 1


def test_a_class_may_be_called_train(tmp_path, picture):
    for name in ("bus", "train"):
        picture(tmp_path / name / "1.png")
    data = read_data(str(tmp_path), INPUT)
    assert data.classes == ("bus", "train") and data.x_test is None


def test_flat_folders_have_no_labels(tmp_path, picture):
    for k in range(3):
        picture(tmp_path / f"{k}.png", seed=k)
    data = read_data(str(tmp_path), INPUT)
    assert data.y is None and data.classes is None and data.notes == ()
    picture(tmp_path / "sub" / "4.png")
    data = read_data(str(tmp_path), INPUT)
    assert len(data.x) == 4 and data.y is None and "3 files lie beside its folders" in data.notes[0]


def test_one_folder_makes_no_classes(tmp_path, picture):
    picture(tmp_path / "images" / "1.png")
    data = read_data(str(tmp_path), INPUT)
    assert data.y is None and "one folder alone (images)" in data.notes[0]


def test_an_empty_class_counts_as_for_keras(tmp_path, picture):
    for name in "ac":
        picture(tmp_path / name / "1.png")
    (tmp_path / "b").mkdir()
    data = read_data(str(tmp_path), INPUT)
    expected = keras.utils.image_dataset_from_directory(tmp_path, shuffle=False, batch_size=None, verbose=False)
    assert data.y.tolist() == [int(y) for _, y in expected] == [0, 2]
    assert list(data.classes) == expected.class_names and data.notes[0].endswith("count as classes too: b")


def test_a_limit_takes_all_classes(tmp_path, picture):
    for name in "abc":
        for k in range(5):
            picture(tmp_path / name / f"{k}.png", size=(6, 8), seed=k)
    data = read_data(str(tmp_path), INPUT, limit=3)
    assert data.y.tolist() == [0, 1, 2] and data.x.shape[0] == 3
    assert read_data(str(tmp_path), INPUT, limit=15).y.tolist() == [0] * 5 + [1] * 5 + [2] * 5


def test_errors_name_flag_and_file(folders, picture, tmp_path):
    (folders / "ant" / "bad.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"--calibration=.*photos: the picture '.*bad.png' cannot be read"):
        read_data(str(folders), INPUT, flag="--calibration")
    with pytest.raises(ValueError, match=r"--data=.*photos: an image folder fits .*Received: input shape \(64,\)"):
        read_data(str(folders), [("x", (64,), "float32")])
    with pytest.raises(ValueError, match=r"--data=.*: a folder of pictures serves a model with one input; .* a, b"):
        read_data(str(folders), [("a", (8, 8, 3), "float32"), ("b", (8, 8, 3), "float32")])
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(folders / "ant" / "bad.png")
    with pytest.raises(ValueError, match=r"bad.png' has more than 8 bits per channel"):
        read_data(str(folders), INPUT)


def test_parts_of_different_classes_are_refused(tmp_path, picture):
    for path in ("train/a", "train/b", "test/a", "test/c"):
        picture(tmp_path / path / "1.png")
    message = "test has no class b and has the class c, which train has not"
    with pytest.raises(ValueError, match=f"--data=.*: {message}"):
        read_data(str(tmp_path), INPUT)


def test_a_test_part_alone_is_refused(tmp_path, picture):
    picture(tmp_path / "test" / "a" / "1.png")
    with pytest.raises(ValueError, match=r"has test and no train.*give one part: --data=.*test\."):
        read_data(str(tmp_path), INPUT)
