"""How pictures of any proportions become squares."""

import numpy as np
import pytest
from PIL import Image

from semppl_keras.data import OwnDataset, load_own_images, read_image
from semppl_keras.data.defaults import FIT, FITS, UNTOLD_FIT
from semppl_keras.data.images.decoding import read_images
from semppl_keras.data.images.files import resize_image
from semppl_keras.views import settings

pytestmark = pytest.mark.any_backend

GREY = (127, 127, 127)


def _stripes(width, height):
    """Red, green and blue, side by side."""
    pixels = np.zeros((height, width, 3), "uint8")
    for channel in range(3):
        pixels[:, channel * width // 3 : (channel + 1) * width // 3, channel] = 255
    return Image.fromarray(pixels)


def _assert_alike(pixels, colours):
    # Beside an edge a resized picture is of both colours.
    np.testing.assert_allclose(pixels, np.broadcast_to(colours, pixels.shape), atol=3)


@pytest.mark.parametrize("turned", [False, True])
def test_what_a_wide_or_high_picture_becomes(tmp_path, turned):
    path = tmp_path / "stripes.png"
    picture = _stripes(90, 30)
    if turned:
        picture = picture.transpose(Image.Transpose.TRANSPOSE)
    picture.save(path)

    def read(fit):
        pixels = read_image(path, 30, fit=fit)
        assert pixels.shape == (30, 30, 3)
        return pixels.swapaxes(0, 1) if turned else pixels

    red, green, blue = np.eye(3) * 255
    padded = read("pad")
    _assert_alike(padded[:10], GREY)
    _assert_alike(padded[20:], GREY)
    _assert_alike(padded[10:20, 2:8], red)
    _assert_alike(padded[10:20, 12:18], green)
    _assert_alike(padded[10:20, 22:28], blue)
    _assert_alike(read("crop")[:, 3:27], green)
    stretched = read("stretch")
    _assert_alike(stretched[:, 2:8], red)
    _assert_alike(stretched[:, 12:18], green)
    _assert_alike(stretched[:, 22:28], blue)
    np.testing.assert_array_equal(
        read_image(path, 30), read_image(path, 30, fit=FIT), strict=True
    )


@pytest.mark.parametrize(("width", "height"), [(7, 31), (31, 8), (32, 31), (5, 2)])
def test_bars_are_as_wide_on_either_side(width, height):
    white = np.full((height, width), 255, "uint8")
    square = resize_image(white, 16, 1, fit="pad")[..., 0]
    shown = square == 255
    assert (square[~shown] == 127).all()
    rows, columns = np.flatnonzero(shown.any(1)), np.flatnonzero(shown.any(0))
    assert shown[np.ix_(rows, columns)].all()
    longer = max(width, height)
    expected = [max(1, round(16 * side / longer)) for side in (height, width)]
    assert [len(rows), len(columns)] == expected
    for places in (rows, columns):
        assert 0 <= (15 - places[-1]) - places[0] <= 1


@pytest.mark.parametrize("channels", [1, 3])
def test_of_a_square_each_makes_the_same(channels):
    generator = np.random.default_rng(0)
    for side in (16, 40):
        pixels = generator.integers(0, 256, (side, side, 3), "uint8")
        squares = [resize_image(pixels, 16, channels, fit=fit) for fit in FITS]
        for square in squares[1:]:
            np.testing.assert_array_equal(square, squares[0])


def test_a_banner_keeps_a_pixel():
    square = resize_image(np.full((3, 4000), 255, "uint8"), 16, 1, fit="pad")
    assert (square == 255).sum() == 16


def test_a_turned_file_is_padded_as_its_upright_picture(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (21, 30, 3), "uint8")
    upright, exif = Image.fromarray(noise), Image.Exif()
    upright.save(tmp_path / "upright.png")
    # To be turned by 90 degrees, and by 180.
    for orientation, turn in ((6, Image.Transpose.ROTATE_90), (3, None)):
        exif[0x0112] = orientation
        stored = upright.transpose(turn or Image.Transpose.ROTATE_180)
        stored.save(tmp_path / f"{orientation}.png", exif=exif)
    # Of 9 rows of bars there is one more below than above, whichever way is up.
    for name in ("upright", 3, 6):
        square = read_image(tmp_path / f"{name}.png", 30)
        np.testing.assert_array_equal(square[4:-5], noise)
        assert (square[:4] == 127).all()
        assert (square[-5:] == 127).all()


def test_arrays_become_squares_as_files_do(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (4, 21, 30, 3), "uint8")
    (tmp_path / "few").mkdir()
    for index, pixels in enumerate(noise):
        folder = tmp_path / "few" / "ab"[index % 2]
        folder.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    np.savez(tmp_path / "many.npz", images=noise[:, ::-1])
    for fit in FITS:
        data = load_own_images(
            f"npz:{tmp_path / 'many.npz'}", tmp_path / "few", fit=fit
        )
        side = 21 if fit == "crop" else 30
        expected = [resize_image(one[::-1], side, fit=fit) for one in noise]
        np.testing.assert_array_equal(data.x_unlabelled, expected)
        paths = [tmp_path / "few" / name for name in ("a/0.png", "b/3.png")]
        files = read_images(paths, side, fit=fit)
        np.testing.assert_array_equal(data.x_labelled[[0, -1]], files)


def test_one_that_is_none_is_refused(tmp_path):
    message = "`fit` must be one of pad, crop, stretch. Received: 'squash'"
    for attempt in (
        lambda: read_image(tmp_path / "any.png", 8, fit="squash"),
        lambda: resize_image(np.zeros((8, 9)), 8, fit="squash"),
        lambda: OwnDataset("many", "few", fit="squash"),
    ):
        with pytest.raises(ValueError, match=message):
            attempt()


def test_views_know_the_same():
    assert set(settings.FITS) == set(FITS)
    # What is not said is not written either.
    assert settings.FITS[0] == UNTOLD_FIT == "crop"
