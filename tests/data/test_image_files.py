"""Image files as arrays: every kind that people have, and what is wrong with some."""

import base64
import contextlib
import os
import struct
import sys
import types
import zlib

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from semppl_keras.data.images.files import (
    UnreadableImage,
    image_header,
    read_image,
    read_whole,
    resize_image,
    value_extent,
)
from semppl_keras.data.images.finding import by_ending, find_classes, find_images
from semppl_keras.data.images.formats import readable_formats
from semppl_keras.data.images.value_ranges import ValueRanges
from semppl_keras.reports.drawing import save_figure

pytestmark = pytest.mark.any_backend

RED, GREY = (200, 40, 40), 96

# What pillow-heif 1.8.1 writes of `quarters()`.
HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAXxtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0"
    "AAAAAAAAAAAAAAAAAAAAACJpbG9jAAAAAERAAAEAAQAAAAABoAABAAAAAAAAAH0AAAAjaWluZgAAAAAA"
    "AQAAABVpbmZlAgAAAAABAABodmMxAAAAAA5waXRtAAAAAAABAAAA/GlwcnAAAADcaXBjbwAAAHVodmND"
    "AQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQApQgEB"
    "A3AAAAMAkAAAAwAAAwAeoCCBBZbqrprm4CGgwIAAAAyAAAADAIRiAAEABkQBwXPBiQAAABNjb2xybmNs"
    "eAABAA0ABoAAAAAUaXNwZQAAAAAAAABAAAAAQAAAAChjbGFwAAAAKAAAAAEAAAAYAAAAAf///+gAAAAC"
    "////2AAAAAIAAAAQcGl4aQAAAAADCAgIAAAAGGlwbWEAAAAAAAAAAQABBYECAwWEAAAAhW1kYXQAAAB5"
    "KAGvCch6g0NAI5tR/xf3+hehrxb76Fa/0RzwcN3RbOS/4gL/f9d2moaDsfolUiHrQGzBLMlYkNLaRi5u"
    "Fa1TFMjwsgtsIVaK1ncOSgQLaK62COExw7XGIal1kMg3oO9VOY/8Rlo0rdGdWn0l09oVCj/0QMaj180v"
    "HA=="
)
# Not every Pillow reads it.
_AVIF = (".avif",) if "AVIF" in readable_formats() else ()


@pytest.fixture
def formats(monkeypatch):
    """Has it found out anew what can be read, and after the test once more."""
    readable_formats.cache_clear()
    yield monkeypatch
    monkeypatch.undo()
    readable_formats.cache_clear()


def quarters(mode="RGB", size=(40, 24)):
    """An image whose upper left quarter is red, the rest blue."""
    image = Image.new("RGB", size, (20, 30, 180))
    image.paste(RED, (0, 0, size[0] // 2, size[1] // 2))
    return image.convert(mode)


def assert_quarters(array, tolerance=40):
    height, width = array.shape[:2]
    assert np.abs(array[height // 4, width // 4].astype(int) - RED).max() < tolerance
    assert array[-height // 4, -width // 4, 2] > 120
    assert array[-height // 4, width // 4, 2] > 120


# -- formats ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "options"),
    [
        (".jpg", {"quality": 95}),
        (".JPEG", {"quality": 95}),
        (".jpg", {"quality": 95, "progressive": True}),
        (".png", {}),
        (".webp", {"quality": 95}),
        (".webp", {"lossless": True}),
        (".bmp", {}),
        (".tif", {}),
        (".tiff", {"compression": "tiff_lzw"}),
        (".ppm", {}),
        (".PNM", {}),
        *((".jp2", {}), (".j2k", {})) * ("JPEG2000" in readable_formats()),
        *((ending, {"quality": 95}) for ending in _AVIF),
    ],
)
@pytest.mark.parametrize("size", [None, 12])
def test_colours_come_through_in_every_format(tmp_path, ending, options, size):
    path = tmp_path / f"image{ending}"
    quarters().save(path, **options)
    array = read_image(path, size)
    assert array.dtype == np.uint8
    assert array.shape == ((24, 40, 3) if size is None else (12, 12, 3))
    if size is None:
        assert_quarters(array)
    assert image_header(path) == (40, 24, True)
    assert read_image(path, size, channels=1).shape == (*array.shape[:2], 1)
    np.testing.assert_array_equal(read_image(path.read_bytes(), size), array)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("channels", [1, 3])
def test_png_of_every_mode(tmp_path, mode, channels):
    path = tmp_path / "image.png"
    Image.new("L", (9, 7), 255).convert(mode).save(path)
    array = read_image(path, channels=channels)
    assert array.shape == (7, 9, channels)
    assert (array == 255).all()


def test_the_first_frame_of_several(tmp_path):
    first, second = Image.new("RGB", (8, 8), RED), Image.new("RGB", (8, 8), "green")
    for ending in (".gif", ".webp", ".tif", ".png"):
        path = tmp_path / f"image{ending}"
        first.save(path)
        assert not read_whole(path).several
        first.save(path, save_all=True, append_images=[second])
        assert np.abs(read_image(path)[4, 4].astype(int) - RED).max() < 10
        assert read_whole(path).several
    # The second of a photograph is a phone's, for itself.
    first.save(tmp_path / "photo.jpg", "MPO", save_all=True, append_images=[second])
    assert not read_whole(tmp_path / "photo.jpg").several


def test_what_is_transparent_is_white(tmp_path):
    image = Image.new("RGBA", (4, 4), (10, 20, 30, 0))
    image.putpixel((0, 0), (10, 20, 30, 255))
    image.putpixel((1, 0), (0, 0, 0, 128))
    image.save(tmp_path / "alpha.png")
    array = read_image(tmp_path / "alpha.png")
    assert array[0, 0].tolist() == [10, 20, 30]
    np.testing.assert_allclose(array[0, 1], 127, atol=1)
    assert (array[1:] == 255).all()

    palette = Image.new("P", (2, 1))
    palette.putpalette([9, 9, 9, 50, 60, 70])
    palette.putpixel((1, 0), 1)
    palette.save(tmp_path / "palette.png", transparency=0)
    array = read_image(tmp_path / "palette.png")
    assert array[0].tolist() == [[255, 255, 255], [50, 60, 70]]

    Image.new("L", (2, 2), 7).save(tmp_path / "grey.png", transparency=7)
    assert (read_image(tmp_path / "grey.png", channels=1) == 255).all()


def test_cmyk(tmp_path):
    for ending, options in ((".jpg", {"quality": 95}), (".tif", {})):
        path = tmp_path / f"print{ending}"
        quarters().convert("CMYK").save(path, **options)
        assert_quarters(read_image(path))
        assert image_header(path)[2]
        assert read_image(path, 6).shape == (6, 6, 3)


@pytest.mark.parametrize("ending", [".png", ".tif"])
def test_16_bits_are_scaled_and_not_clipped(tmp_path, ending):
    path = tmp_path / f"deep{ending}"
    values = np.array([[0, 257], [32896, 65535]], "uint16")
    Image.fromarray(values).save(path)
    assert read_image(path, channels=1)[..., 0].tolist() == [[0, 1], [128, 255]]
    assert read_image(path)[1, 0].tolist() == [128] * 3
    assert not image_header(path)[2]


def _deep_png(values, clear=None):
    """Of values `(h, w, c)` of 16 bits a PNG, which Pillow does not write."""

    def chunk(kind, data):
        checked = kind + data
        return (
            struct.pack(">I", len(data))
            + checked
            + struct.pack(">I", zlib.crc32(checked))
        )

    height, width, channels = values.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">2I5B", width, height, 16, kind, 0, 0, 0))
        + (
            b""
            if clear is None
            else chunk(b"tRNS", struct.pack(f">{channels}H", *clear))
        )
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def _deep_tiff(values, order, compressed):
    """The same as a TIFF, its bytes in an order: "<" or ">"."""
    height, width, channels = values.shape
    data = values.astype(f"{order}u2").tobytes()
    data = zlib.compress(data) if compressed else data
    bits = struct.pack(f"{order}{channels}H", *[16] * channels)
    tags = [
        (256, 3, 1, width),
        (257, 3, 1, height),
        (258, 3, channels, 8 if channels > 1 else 16),
        (259, 3, 1, 8 if compressed else 1),
        (262, 3, 1, 2 if channels > 1 else 1),
        (273, 4, 1, 8 + len(bits)),
        (277, 3, 1, channels),
        (278, 3, 1, height),
        (279, 4, 1, len(data)),
    ]
    if channels == 4:
        tags.append((338, 3, 1, 2))
    entries = b"".join(
        struct.pack(f"{order}HHI", tag, kind, count)
        + (
            struct.pack(f"{order}HH", value, 0)
            if kind == 3 and count == 1
            else struct.pack(f"{order}I", value)
        )
        for tag, kind, count, value in tags
    )
    return (
        (b"II*\0" if order == "<" else b"MM\0*")
        + struct.pack(f"{order}I", 8 + len(bits) + len(data))
        + bits
        + data
        + struct.pack(f"{order}H", len(tags))
        + entries
        + bytes(4)
    )


_DEEP_FILES = {
    "png": _deep_png,
    "tiff": lambda values: _deep_tiff(values, "<", False),
    "big-endian tiff": lambda values: _deep_tiff(values, ">", False),
    "compressed tiff": lambda values: _deep_tiff(values, "<", True),
}


@pytest.mark.parametrize("kind", _DEEP_FILES)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_12_bits_in_16_of_each_channel(kind, channels):
    values = np.random.default_rng(0).integers(0, 4096, (5, 7, channels))
    if channels == 4:
        values[..., 3] = 65535
    content = _DEEP_FILES[kind](values)
    colours = values[..., :3]
    expected = np.broadcast_to(np.rint(colours / 4095 * 255), (5, 7, 3))
    read = read_image(content, ranges=ValueRanges((0, 4095)))
    np.testing.assert_array_equal(read, expected)
    # By itself it is of all 16 bits.
    read = read_image(content)
    expected = np.broadcast_to(np.rint(colours / 65535 * 255), (5, 7, 3))
    np.testing.assert_array_equal(read, expected)
    found = value_extent(content)
    assert found == ("integers", colours.min(), colours.max())
    assert image_header(content) == (7, 5, channels > 1)
    assert not read_whole(content, ranges=ValueRanges((0, 4095))).beyond
    assert read_whole(content, ranges=ValueRanges((0, 2000))).beyond


def test_16_bits_that_are_transparent():
    values = np.array([[[0, 65535], [4095, 65535], [2000, 0]]])
    read = read_image(_deep_png(values), channels=1, ranges=ValueRanges((0, 4095)))
    assert read[0, :, 0].tolist() == [0, 255, 255]
    # Grey, although Pillow makes colours of it.
    assert image_header(_deep_png(values)) == (3, 1, False)
    assert value_extent(_deep_png(values)) == ("integers", 0, 4095)
    for values, clear in (
        ([[[7], [9]]], [7]),
        ([[[7, 8, 9], [7, 8, 8]]], [7, 8, 9]),
    ):
        read = read_image(_deep_png(np.array(values), clear))
        assert read[0].tolist() == [[255] * 3, [0] * 3]


@pytest.mark.parametrize("values", [[0, 100, 4095], [0, 25, 1023]])
def test_a_format_that_tells_the_largest_value(values):
    most = values[-1]
    greys = b"P5 3 1 %d\n" % most + np.array(values, ">u2").tobytes()
    expected = np.rint(np.array(values) / most * 255)
    # The set's range is that of other formats.
    for ranges in (None, ValueRanges((0, 255))):
        read = read_image(greys, channels=1, ranges=ranges)
        np.testing.assert_allclose(read[0, :, 0], expected, atol=1)
    assert value_extent(greys) is None


def test_8_bits_stay_what_they_are(tmp_path):
    for mode in ("1", "L", "P", "RGB", "RGBA", "CMYK"):
        path = tmp_path / ("image.tif" if mode == "CMYK" else "image.png")
        quarters(mode).save(path)
        assert value_extent(path) is None
        read = read_image(path, ranges=ValueRanges((0, 4095), (0, 1)))
        np.testing.assert_array_equal(read, read_image(path))


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0.0, 0.5, 1.0], [0, 128, 255]), ([0.0, 127.6, 255.0], [0, 128, 255])],
)
def test_floats(tmp_path, values, expected):
    Image.fromarray(np.array([values], "float32")).save(tmp_path / "float.tif")
    assert read_image(tmp_path / "float.tif", channels=1)[0, :, 0].tolist() == expected


@pytest.mark.parametrize(
    "values", [[0.0, 3e4], [-1.0, 1.0], [0.0, float("nan")], [0, 70000], [-2, 5]]
)
def test_values_of_no_known_range(tmp_path, values):
    dtype = "int32" if isinstance(values[0], int) else "float32"
    path = tmp_path / "values.tif"
    Image.fromarray(np.array([values], dtype)).save(path)
    with pytest.raises(UnreadableImage, match="no known range"):
        read_image(path)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", [".jpg", ".png", ".tif", ".webp", *_AVIF])
@pytest.mark.parametrize("size", [None, 16])
def test_turned_by_exif(tmp_path, orientation, ending, size):
    # Stored as a camera does that was held so: undoing it gives the upright image.
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    upright = quarters()
    stored = upright if undo is None else upright.transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned{ending}"
    stored.save(path, exif=exif)
    array = read_image(path, size)
    assert array.shape == ((24, 40, 3) if size is None else (16, 16, 3))
    assert_quarters(array, tolerance=60)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_broken_exif_is_no_reason_to_do_without_an_image(tmp_path):
    path = tmp_path / "image.jpg"
    quarters().save(path, exif=b"Exif\0\0MM\0*\0\0\xff\xff\xff\xff")
    assert read_image(path, 8).shape == (8, 8, 3)


def test_the_central_square_is_what_counts(tmp_path):
    image = Image.new("RGB", (90, 30), "blue")
    image.paste(RED, (30, 0, 60, 30))
    image.save(tmp_path / "wide.png")
    image.rotate(90, expand=True).save(tmp_path / "high.png")
    for name in ("wide", "high"):
        array = read_image(tmp_path / f"{name}.png", 10, fit="crop")
        np.testing.assert_allclose(array[2:-2, 2:-2], [[RED] * 6] * 6, atol=3)


def test_reduced_decoding_gives_about_the_same(tmp_path):
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 256, (12, 16, 3), "uint8")
    image = Image.fromarray(coarse).resize((1600, 1200), Image.Resampling.BICUBIC)
    path = tmp_path / "photo.jpg"
    image.save(path, quality=95)
    read = read_image(path, 64, fit="crop").astype(float)
    square = image.crop((200, 0, 1400, 1200))
    whole = np.asarray(square.resize((64, 64), Image.Resampling.LANCZOS), float)
    assert np.abs(read - whole).mean() < 2


@pytest.mark.parametrize("size", [0, -3, 2.5, "8"])
def test_a_size_that_is_none(tmp_path, size):
    with pytest.raises(ValueError, match="`size` must be an integer of at least 1"):
        read_image(tmp_path / "any.png", size)
    with pytest.raises(ValueError, match="`channels` must be 1 or 3"):
        read_image(tmp_path / "any.png", channels=4)


def test_pixels_take_the_same_form():
    grey = np.arange(64, dtype="uint8").reshape(8, 8)
    assert resize_image(grey).shape == (8, 8, 3)
    np.testing.assert_array_equal(resize_image(grey, channels=1)[..., 0], grey)
    np.testing.assert_array_equal(resize_image(grey[..., None], 8, 1)[..., 0], grey)
    colour = np.stack([grey + 0.4] * 3, axis=-1)
    np.testing.assert_array_equal(resize_image(colour)[..., 1], grey)
    assert resize_image(colour[:, :5], 3, 1).shape == (3, 3, 1)


def test_floats_of_a_set(tmp_path):
    path = tmp_path / "float.tif"
    Image.fromarray(np.array([[-1, 0, 0.5, 1]], "float32")).save(path)
    read = read_image(path, channels=1, ranges=ValueRanges(None, (-1, 1)))
    assert read[0, :, 0].tolist() == [0, 128, 191, 255]
    assert value_extent(path) == ("floats", -1, 1)
    Image.fromarray(np.array([[0, np.inf]], "float32")).save(path)
    with pytest.raises(UnreadableImage, match="values that are no numbers"):
        value_extent(path)
    with pytest.raises(UnreadableImage, match="no known range"):
        read_image(path, ranges=ValueRanges(None, (0, 1)))


# -- formats that need something --------------------------------------------------


def test_heic_without_the_package_for_it_says_what_to_do(tmp_path, formats):
    formats.setitem(sys.modules, "pillow_heif", None)
    assert "HEIF" not in readable_formats()
    path = tmp_path / "IMG_0001.HEIC"
    # A file that names the general brand first is one, too.
    for content in (HEIC, HEIC.replace(b"ftypheic", b"ftypmif1")):
        path.write_bytes(content)
        for source in (path, content):
            for read in (read_image, image_header):
                with pytest.raises(UnreadableImage) as error:
                    read(source)
                assert error.value.reason == (
                    "it is a HEIC image, as iPhones take them, which needs another "
                    'package: pip install "semppl_keras[heif]", or convert it to JPEG'
                )
    # A film, and a file that merely ends so.
    for content in (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", b"no image", b"\0\0\0\x1cftyp"):
        path.write_bytes(content)
        with pytest.raises(UnreadableImage, match="none of BMP"):
            read_image(path)


def test_heic_is_read_with_the_package_for_it(formats):
    def register():
        accept = (lambda file, name: quarters(), lambda head: head[8:12] == b"heic")
        formats.setitem(Image.OPEN, "HEIF", accept)

    package = types.SimpleNamespace(register_heif_opener=register)
    formats.setitem(sys.modules, "pillow_heif", package)
    assert readable_formats()[-1] == "HEIF"
    assert_quarters(read_image(HEIC))
    assert image_header(HEIC) == (40, 24, True)
    # What is broken is not for want of it.
    with pytest.raises(UnreadableImage, match="none of BMP.*HEIF"):
        read_image(b"\0\0\0\x1cftypmif1\0\0\0\0heic")


def test_avif_without_a_pillow_that_reads_it(formats):
    formats.setattr("PIL.features.get_supported", lambda: ["jpg"])
    formats.delitem(Image.OPEN, "AVIF", raising=False)
    assert "AVIF" not in readable_formats()
    with pytest.raises(UnreadableImage, match="which Pillow reads from 11.3 on"):
        read_image(b"\0\0\0\x20ftypavif\0\0\0\0avifmif1miafMA1B\0\0\0\xebmeta")


def test_jpeg_2000_without_a_pillow_that_reads_it(formats):
    formats.setattr("PIL.features.check", lambda name: False)
    assert "JPEG2000" not in readable_formats()
    for begin in (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xffO\xffQ"):
        with pytest.raises(UnreadableImage, match="JPEG 2000 image, which this Pillow"):
            read_image(begin + bytes(40))


# -- faults -----------------------------------------------------------------------


def _truncated(path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), "uint8")
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("name", "make", "reason"),
    [
        ("empty.png", lambda path: path.touch(), "it is empty"),
        ("text.png", lambda path: path.write_text("no image"), "none of BMP, GIF"),
        ("folder.png", lambda path: path.mkdir(), "it is a folder"),
        ("pipe.png", lambda path: os.mkfifo(path), "no regular file"),
        ("link.png", lambda path: path.symlink_to("nowhere"), "it is not there"),
        ("loop.png", lambda path: path.symlink_to("loop.png"), "symbolic links"),
        ("gone.png", lambda path: None, "it is not there"),
        ("x" * 300 + ".png", lambda path: None, "too long"),
        ("nul\0.png", lambda path: None, "null"),
        ("half.jpg", _truncated, "truncated"),
        ("half.png", _truncated, "."),
        ("half.webp", _truncated, "."),
        ("half.bmp", _truncated, "truncated"),
        ("half.tif", _truncated, "."),
    ],
)
def test_what_gives_no_image(tmp_path, name, make, reason):
    path = tmp_path / name
    make(path)
    for size in (None, 8):
        with pytest.raises(UnreadableImage, match=reason) as error:
            read_image(path, size)
        assert error.value.path == path
        assert "cannot be read as an image" in str(error.value)
        assert isinstance(error.value, ValueError)


def test_a_file_whose_name_is_written_otherwise(tmp_path):
    _touch(tmp_path, "Photos/IMG_1.JPG")
    for name in ("Photos/img_1.jpg", "photos/IMG_1.jpg", "photos/IMG_1.JPG"):
        with pytest.raises(UnreadableImage) as error:
            read_image(tmp_path / name)
        there = tmp_path / "Photos" / "IMG_1.JPG"
        told = f"it is not there, but {str(there)!r} is"
        assert error.value.reason == told
    for name in ("Photos/img_2.jpg", "photo/IMG_1.JPG", "Photos/IMG_1.JPG/x.png"):
        with pytest.raises(UnreadableImage) as error:
            read_image(tmp_path / name)
        assert "did you mean" not in error.value.reason


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    # The one who runs the tests may be allowed to read everything.
    def refuse(*arguments, **keywords):
        raise PermissionError(13, "Permission denied")

    quarters().save(tmp_path / "image.png")
    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(UnreadableImage, match="may not be read"):
        read_image(tmp_path / "image.png")


def test_every_cut_and_every_flipped_byte_is_told_or_read(tmp_path):
    generator = np.random.default_rng(0)
    for ending in (".jpg", ".png", ".webp", ".bmp", ".gif", ".tif", *_AVIF):
        whole = tmp_path / f"whole{ending}"
        quarters().save(whole)
        content = whole.read_bytes()
        for _ in range(60):
            broken = bytearray(content[: generator.integers(1, len(content) + 1)])
            for place in generator.integers(0, len(broken), 3):
                broken[place] = generator.integers(256)
            # Whatever else it raises fails the test.
            with contextlib.suppress(UnreadableImage):
                assert read_image(bytes(broken), 8).shape == (8, 8, 3)


def test_decompression_bombs(tmp_path, monkeypatch):
    path = tmp_path / "bomb.gif"
    Image.new("L", (100, 100)).save(path)
    # Above the limit Pillow warns, above twice the limit it refuses.
    for limit in (9000, 4000):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(UnreadableImage, match=f"more than {limit:,} pixels"):
            read_image(path, 8)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10000)
    assert read_image(path, 8).shape == (8, 8, 3)


def test_large_photographs_are_no_bombs(tmp_path, monkeypatch):
    path = tmp_path / "108_megapixels.jpg"
    Image.new("L", (12000, 9000), 120).save(path)
    # Warnings are errors here.
    assert image_header(path) == (12000, 9000, False)
    for content in (path, path.read_bytes()):
        read = read_image(content, 96, fit="crop")
        assert np.abs(read.astype(int) - 120).max() <= 2
    with pytest.raises(UnreadableImage, match="more than 89,478,485 pixels"):
        read_image(path)
    # Of a progressive one all is held in memory, and no file may have any number.
    Image.new("L", (100, 100)).save(path, progressive=True)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 9000)
    with pytest.raises(UnreadableImage, match="more than 9,000 pixels"):
        read_image(path, 8)
    Image.new("L", (200, 200)).save(path)
    with pytest.raises(UnreadableImage, match="more than 36,000 pixels"):
        read_image(path, 8)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert read_image(path, 8).shape == (8, 8, 3)


def test_a_small_file_of_very_many_pixels(tmp_path):
    def chunk(kind, content):
        check = zlib.crc32(kind + content)
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)
        )

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(10_000_000))
    path = tmp_path / "bomb.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", pixels)
        + chunk(b"IEND", b"")
    )
    with pytest.raises(UnreadableImage, match="more than 89,478,485 pixels"):
        read_image(path, 96)


def test_no_file_is_changed(tmp_path):
    path = tmp_path / "image.jpg"
    quarters().save(path)
    path.chmod(0o444)
    before = path.read_bytes(), path.stat().st_mtime_ns
    read_image(path, 8)
    assert before == (path.read_bytes(), path.stat().st_mtime_ns)


# -- folders ----------------------------------------------------------------------


def _touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def _names(folder, paths):
    return [path.relative_to(folder).as_posix() for path in paths]


def test_images_flat_and_deeper(tmp_path):
    _touch(
        tmp_path,
        "b.JPG",
        "a.png",
        "sub/deep/c.webp",
        "sub/d.tiff",
        "IMG_1.HEIC",
        "IMG_2.heif",
        "z.avif",
        "notes.txt",
        ".hidden.png",
        ".git/e.png",
        "no_ending",
        "überraschung/ß 日本.png",
        "l" * 250 + ".gif",
    )
    assert _names(tmp_path, find_images(str(tmp_path))) == [
        "IMG_1.HEIC",
        "IMG_2.heif",
        "a.png",
        "b.JPG",
        "l" * 250 + ".gif",
        "sub/d.tiff",
        "sub/deep/c.webp",
        "z.avif",
        "überraschung/ß 日本.png",
    ]


def test_links_do_no_harm(tmp_path):
    _touch(tmp_path, "real/a.png", "other/b.png")
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "again").symlink_to(folder)
    (folder / "up").symlink_to(tmp_path / "images")
    (folder / "self").symlink_to("self")
    (folder / "aa").symlink_to(tmp_path / "real")
    (folder / "bb").symlink_to(tmp_path / "real")
    (folder / "lost.png").symlink_to(tmp_path / "nowhere.png")
    (folder / "one.png").symlink_to(tmp_path / "other" / "b.png")
    found = _names(folder, find_images(folder))
    # Each folder once; a link that leads nowhere is for the reader to tell.
    assert found == ["aa/a.png", "lost.png", "one.png"]
    # What lies in the folder itself goes by its own name.
    (folder / "z").mkdir()
    _touch(folder, "z/own.png")
    (folder / "a_link").symlink_to(folder / "z")
    assert "z/own.png" in _names(folder, find_images(folder))


def test_a_folder_that_may_not_be_looked_into(tmp_path, monkeypatch):
    _touch(tmp_path, "a.png", "closed/b.png")
    scan = os.scandir

    def refuse(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert _names(tmp_path, find_images(tmp_path)) == ["a.png", "closed"]
    with pytest.raises(PermissionError):
        find_images(tmp_path / "closed")


def test_what_the_commands_have_written_is_passed_over(tmp_path):
    run = "runs/a_seed_0"
    _touch(tmp_path, "a.png", f"{run}/run.json", f"{run}/report.png", "cat/b.png")
    # Half of it alone may be anyone's.
    _touch(tmp_path, "mine/run.json", "mine/c.png", "logs/logs/d.png")
    assert len(find_images(tmp_path)) == 5
    _touch(tmp_path, f"{run}/checkpoints/x", "owl/run.json", "owl/model.keras")
    _touch(tmp_path, "owl/e.png")
    save_figure(Figure(), tmp_path / "views.png")
    passed_over = []
    assert _names(tmp_path, find_images(tmp_path, passed_over)) == [
        "a.png",
        "cat/b.png",
        "logs/logs/d.png",
        "mine/c.png",
    ]
    assert sorted(_names(tmp_path, passed_over)) == ["owl", run, "views.png"]
    passed_over = []
    assert list(find_classes(tmp_path, passed_over)) == ["cat", "logs", "mine"]
    assert sorted(_names(tmp_path, passed_over)) == ["owl", run]
    # The folder itself is what was asked for.
    assert _names(tmp_path, find_images(tmp_path / "owl")) == ["owl/e.png"]


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(FileNotFoundError, match="a path where nothing is"):
        find_images(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(FileNotFoundError, match="Received: a file"):
        find_images(tmp_path / "file")
    assert find_images(tmp_path) == []


def test_files_that_are_no_images_are_counted(tmp_path):
    names = ("a.dcm", "b.DCM", "c.psd", "sub/d.txt", ".DS_Store", "e", ".git/f.png")
    _touch(tmp_path, *names, "h.pgm", "i.jp2", "data.001")
    unread = []
    assert _names(tmp_path, find_images(tmp_path, None, unread)) == ["h.pgm", "i.jp2"]
    told = "2 .dcm, 2 without an ending, 1 .psd, 1 .txt, 1 hidden"
    assert by_ending(unread) == told
    _touch(tmp_path, *(f"x.{letter}" for letter in "abcdefgh"))
    find_images(tmp_path, None, unread := [])
    assert by_ending(unread).endswith("1 .a, 1 .b, 1 .c, 1 .d, 1 .e, 1 .f, 5 others")


@pytest.mark.parametrize(
    "kind", ["BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP", "PPM", *readable_formats()]
)
def test_an_image_without_an_ending_is_one(tmp_path, kind):
    for name in ("0a1b2c", "scan.001"):
        path = tmp_path / name
        quarters().save(path, kind)
        assert find_images(tmp_path)[-1] == path
        assert read_image(path).shape == (24, 40, 3)


def test_what_begins_otherwise_is_none(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name, content in (
        ("empty", b""),
        ("text", b"BM is how a text may begin"),
        ("more", b"P5 is, too; and\n7"),
        ("film", b"\0\0\0\x14ftypqt  \0\0\0\0qt  "),
    ):
        (tmp_path / name).write_bytes(content)
    assert find_images(tmp_path, None, unread := []) == []
    assert len(unread) == 5


def test_folders_that_are_no_classes(tmp_path):
    _touch(tmp_path, "owl/1.png", "ox/a.psd", "ox/b.psd", "x.csv", "2.png", "3.png")
    (tmp_path / "fish").mkdir()
    empty, loose = {}, []
    assert list(find_classes(tmp_path, None, None, empty, loose)) == ["owl"]
    assert list(empty) == ["fish", "ox"]
    assert sorted(path.name for path in empty["ox"]) == ["a.psd", "b.psd"]
    assert _names(tmp_path, loose) == ["2.png", "3.png"]
    (tmp_path / "owl" / "1.png").unlink()
    told = r"in no subfolder: 2; other files: 2 \.psd, 1 \.csv"
    with pytest.raises(ValueError, match=told):
        find_classes(tmp_path)


def test_class_folders(tmp_path):
    _touch(tmp_path, "owl/1.png", "cat/deep/2.png", "empty/x.txt", ".cache/3.png")
    _touch(tmp_path, "loose.png")
    classes = find_classes(tmp_path)
    assert list(classes) == ["cat", "owl"]
    assert _names(tmp_path, classes["cat"]) == ["cat/deep/2.png"]
    with pytest.raises(ValueError, match="a subfolder of images for each class"):
        find_classes(tmp_path / "owl")
    with pytest.raises(FileNotFoundError, match="nothing is"):
        find_classes(tmp_path / "none")
