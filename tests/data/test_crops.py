"""Crops that are decoded at a reduced size, against whole images cut and resized."""

import io
import math

import numpy as np
import pytest
from keras import ops
from PIL import Image, ImageOps

from semppl_keras.data import UnreadableImage
from semppl_keras.data.images.crops import Box, decode_crop, draw_box
from semppl_keras.views.spatial import random_boxes

pytestmark = pytest.mark.any_backend

ORIENTATION = 0x0112


def waves(width, height):
    """A smooth picture, no part of which is like another one."""
    y, x = np.mgrid[:height, :width]
    bands = [
        np.sin(0.02 * x + 0.05 * y),
        np.cos(0.011 * x * y / height),
        np.sin(0.03 * (x - y) + 1.0),
    ]
    return np.rint(127.5 + 120 * np.stack(bands, axis=-1)).astype("uint8")


def written(array, kind="JPEG", mode=None, orientation=1, **options):
    """The content of a file; lossless where the format is."""
    image = Image.fromarray(array)
    if mode is not None:
        image = image.convert(mode)
    if kind == "JPEG":
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        options = {"quality": 95, "subsampling": 0, "exif": exif, **options}
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def weights(start, extent, size, length):
    """Of each output pixel the shares of all pixels: a triangle, wide enough."""
    centre = start + (np.arange(size)[:, None] + 0.5) * extent / size
    wide = max(extent / size, 1.0)
    found = np.maximum(0.0, 1 - np.abs(np.arange(length) + 0.5 - centre) / wide)
    return found / found.sum(axis=1, keepdims=True)


def naive(content, box, size, channels):
    """Decoded whole, turned, cut and resized, in float64."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    pixels = np.asarray(image.convert("RGB" if channels == 3 else "L"), "float64")
    pixels = pixels.reshape(*pixels.shape[:2], channels)
    rows = weights(box.top, box.height, size, pixels.shape[0])
    columns = weights(box.left, box.width, size, pixels.shape[1])
    bands = [rows @ pixels[..., band] @ columns.T for band in range(channels)]
    return np.stack(bands, axis=-1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_crop_is_that_of_the_whole_image(orientation):
    content = written(waves(90, 60), orientation=orientation)
    box = Box(11.3, 7.6, 30.2, 41.9)
    assert_near(content, box, 20, 3, 1)


def assert_near(content, box, size, channels, most):
    found = decode_crop(content, box, size, channels)
    assert found.shape == (size, size, channels)
    assert found.dtype == np.uint8
    expected = naive(content, box, size, channels)
    assert np.abs(found - expected).max() <= most
    return found


@pytest.mark.parametrize(
    ("mode", "channels", "most"),
    # Colours that become grey, or are printed, are rounded on the way.
    [("L", 1, 1), ("L", 3, 1), ("RGB", 1, 2), ("CMYK", 3, 1), ("CMYK", 1, 1)],
)
def test_grey_and_printed_colours(mode, channels, most):
    content = written(waves(70, 50), mode=mode)
    assert_near(content, Box(4.5, 20.25, 40.0, 33.0), 20, channels, most)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("orientation", [1, 6, 7])
@pytest.mark.parametrize("factor", [2, 4, 8])
def test_at_a_reduced_size_it_is_about_the_same(factor, orientation, progressive):
    # No whole number of blocks, nor of the squares of pixels that become one.
    content = written(waves(403, 301), orientation=orientation, progressive=progressive)
    size = 200 // factor
    assert_near(content, Box(50.7, 33.1, 200.5, 210.0), size, 3, 8)
    # The edges of the image, at which there are parts of pixels alone.
    height, width = (403, 301) if orientation > 4 else (301, 403)
    assert_near(content, Box(0, 0, height, width), 250 // factor, 3, 8)


def test_no_more_is_decoded_than_a_crop_takes(monkeypatch):
    content, sizes = written(waves(400, 304)), []
    load = Image.Image.load
    monkeypatch.setattr(
        Image.Image, "load", lambda self: sizes.append(self.size) or load(self)
    )
    for side, expected in ((240, (400, 304)), (120, (200, 152)), (30, (50, 38))):
        sizes.clear()
        decode_crop(content, Box(10, 20, 240, 240), side)
        assert sizes[0] == expected


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "TIFF"])
def test_other_formats_are_decoded_whole(tmp_path, kind):
    path = tmp_path / "image"
    options = {"lossless": True} if kind == "WEBP" else {}
    path.write_bytes(written(waves(60, 40), kind, **options))
    box = Box(3.25, 5.5, 30.0, 44.0)
    expected = naive(path.read_bytes(), box, 12, 3)
    assert np.abs(decode_crop(path, box, 12) - expected).max() <= 1
    # So are arrays, of records and archives.
    assert np.abs(decode_crop(waves(60, 40), box, 12) - expected).max() <= 1


def test_grey_arrays():
    grey = waves(30, 20)[..., :1]
    found = decode_crop(grey, Box(0, 0, 20, 30), 8, 1)
    assert found.shape == (8, 8, 1)
    rows, columns = weights(0, 20, 8, 20), weights(0, 30, 8, 30)
    assert np.abs(found[..., 0] - rows @ grey[..., 0] @ columns.T).max() <= 1


@pytest.mark.parametrize(
    "ranges",
    [
        {},
        {"area": (0.05, 0.14)},
        {"area": (1.0, 1.0), "aspect_ratio": (1.0, 1.0)},
        {"area": (0.3, 0.9), "aspect_ratio": (0.5, 4.0)},
    ],
)
@pytest.mark.parametrize("sides", [(375, 500), (90, 30), (1, 1)])
def test_boxes_are_those_of_views(ranges, sides):
    draws = np.random.default_rng(3).random((50, 4))
    generator = np.random.default_rng(3)
    drawn = [draw_box(generator, *sides, **ranges) for _ in draws]
    expected = random_boxes(
        ops.convert_to_tensor(draws, "float32"),
        *sides,
        ops.convert_to_tensor([ranges.get("area", (0.14, 1.0))] * 50, "float32"),
        ranges.get("aspect_ratio", (3 / 4, 4 / 3)),
    )
    expected = np.stack([ops.convert_to_numpy(part) for part in expected], axis=1)
    np.testing.assert_allclose(drawn, expected, atol=2e-3, rtol=1e-5)
    for box in drawn:
        assert 0 <= box.top <= box.top + box.height <= sides[0] * (1 + 1e-12)
        assert 0 <= box.left <= box.left + box.width <= sides[1] * (1 + 1e-12)


@pytest.mark.parametrize("orientation", [1, 8])
def test_a_generator_draws_the_box_in_the_upright_image(orientation):
    content = written(waves(90, 50), orientation=orientation)
    sides = (50, 90) if orientation == 1 else (90, 50)
    ranges = {"area": (0.2, 0.6), "aspect_ratio": (0.8, 1.2)}
    for number in range(5):
        box = draw_box(np.random.default_rng([7, 2, number]), *sides, **ranges)
        found = decode_crop(
            content, np.random.default_rng([7, 2, number]), 16, **ranges
        )
        np.testing.assert_array_equal(found, decode_crop(content, box, 16))


def test_all_of_any_image_is_a_crop():
    whole = {"area": (1.0, 1.0)}
    for width, height in ((1, 1), (7, 3), (129, 65), (1001, 9)):
        content = written(waves(width, height))
        for size in (1, 5, 64):
            found = decode_crop(content, np.random.default_rng(0), size, **whole)
            assert found.shape == (size, size, 3)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda content: content[: len(content) // 2], "truncated"),
        (lambda content: content[:200], "truncated|broken|cannot"),
        (lambda content: b"", "it is empty"),
        (
            lambda content: b"\xff\xd8\xff\xe0 nothing of the kind",
            "truncated|broken|cannot|JPEG",
        ),
        (lambda content: b"words", "it is none of"),
    ],
)
def test_what_gives_no_image_says_why(tmp_path, make, reason):
    path = tmp_path / "image.jpg"
    path.write_bytes(make(written(waves(300, 200))))
    generator = np.random.default_rng(0)
    for content in (path, path.read_bytes()):
        with pytest.raises(UnreadableImage, match=reason):
            decode_crop(content, generator, 16)
    with pytest.raises(UnreadableImage, match="it is not there"):
        decode_crop(tmp_path / "no.jpg", generator, 16)


def test_more_pixels_than_may_be_decoded():
    content = written(waves(400, 300))
    generator = np.random.default_rng(0)
    with pytest.raises(UnreadableImage, match="more than 50,000 pixels"):
        decode_crop(content, generator, 300, max_pixels=50_000)
    # At a half of the size it has fewer.
    box = Box(0, 0, 300, 400)
    assert decode_crop(content, box, 100, max_pixels=50_000).shape == (100, 100, 3)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"box": Box(0, 0, 31, 20)}, "within the image, of 30 rows and 40 columns"),
        ({"box": Box(-1, 0, 10, 10)}, "Box"),
        ({"box": Box(0, 0, 0, 10)}, "Box"),
        ({"box": Box(0, math.nan, 10, 10)}, "Box"),
        ({"size": 0}, "size=0"),
        ({"size": None}, "size=None"),
        ({"channels": 2}, "channels=2"),
        ({"area": (0.0, 1.0)}, "`area`"),
        ({"area": (0.5, 1.1)}, "`area`"),
        ({"aspect_ratio": (2.0, 1.0)}, "`aspect_ratio`"),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_what_cannot_be_cut_is_told(kind, changes, told):
    content = written(waves(40, 30), kind)
    arguments = {"box": np.random.default_rng(0), "size": 8, **changes}
    with pytest.raises(ValueError, match=told) as raised:
        decode_crop(content, **arguments)
    # The file is none of the reasons.
    assert not isinstance(raised.value, UnreadableImage)
