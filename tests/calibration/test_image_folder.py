"""Pictures of several forms become the arrays a model input wants."""

import numpy as np
import pytest
from PIL import Image

from tfcompress.calibration.image_folder import evenly, read_images


@pytest.fixture
def folder(tmp_path):
    """Three classes of uniform grey: the value says which picture it is."""
    for value in range(12):
        path = tmp_path / f"class_{value // 4}" / f"{value:02d}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("L", (20, 10), value * 20).save(path)
    (tmp_path / "class_0" / "notes.txt").write_text("no picture")
    return tmp_path


@pytest.mark.parametrize("shape", [(8, 6, 1), (8, 6), (8, 6, 3), (8, 6, 4)])
def test_pictures_take_the_shape_of_the_input(folder, shape):
    arrays = read_images(folder, shape, limit=100)
    assert len(arrays) == 12
    for value, array in enumerate(arrays):
        assert array.shape == (1, *shape) and array.dtype == np.float32
        assert (array[..., :3] == value * 20).all()


def test_height_and_width_are_not_swapped(tmp_path):
    picture = np.zeros((4, 8), np.uint8)
    picture[0] = 255
    Image.fromarray(picture).save(tmp_path / "top.png")
    (array,) = read_images(tmp_path, (4, 8, 1), limit=1)
    np.testing.assert_array_equal(array[0, :, :, 0], picture)


def test_a_limit_takes_from_all_classes(folder):
    values = [array.max() / 20 for array in read_images(folder, (4, 4), limit=4)]
    assert {int(value) // 4 for value in values} == {0, 1, 2}


def test_scale_and_offset_give_the_trained_range(folder):
    arrays = read_images(folder, (4, 4, 3), limit=12, scale=1 / 110, offset=-1)
    np.testing.assert_allclose([array.min() for array in arrays], np.linspace(-1, 1, 12), atol=1e-6)


def test_palette_and_jpeg_pictures_are_read(tmp_path):
    Image.new("RGB", (9, 9), (200, 10, 10)).quantize(4).save(tmp_path / "a.gif")
    Image.new("RGB", (9, 9), (200, 10, 10)).save(tmp_path / "B.JPG")
    for array in read_images(tmp_path, (9, 9, 3), limit=2):
        assert np.abs(array - [200, 10, 10]).max() < 16


@pytest.mark.parametrize("shape", [(8,), (8, 8, 2), (None, 8, 3), (2, 8, 8, 3)])
def test_inputs_that_are_no_pictures_are_refused(folder, shape):
    with pytest.raises(ValueError, match="image folder fits"):
        read_images(folder, shape, limit=5)


def test_folders_without_pictures_and_broken_ones_are_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no picture"):
        read_images(tmp_path, (4, 4, 1), limit=5)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(ValueError, match=r"broken\.png.*cannot be read"):
        read_images(tmp_path, (4, 4, 1), limit=5)


def test_deep_pictures_are_refused_instead_of_cut_off(tmp_path):
    Image.fromarray(np.full((4, 4), 4000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(ValueError, match="more than 8 bits"):
        read_images(tmp_path, (4, 4, 1), limit=5)


def test_evenly_spans_all_and_repeats_none():
    for count in (1, 5, 7, 100):
        for limit in (1, 3, 7, 99):
            chosen = evenly(count, limit).tolist()
            assert chosen == sorted(set(chosen)) and len(chosen) == min(count, limit)
            assert chosen[0] == 0 and (limit == 1 or chosen[-1] == count - 1)


def test_pictures_of_gigapixels_are_refused_before_they_are_unpacked(tmp_path, monkeypatch):
    Image.new("L", (400, 400)).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ValueError, match=r"large\.png.*cannot be read.*decompression bomb"):
        read_images(tmp_path, (4, 4, 1), limit=5)
