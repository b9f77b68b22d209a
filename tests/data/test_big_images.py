"""Pictures of more pixels than may be held: read in parts, or told."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, features

from semppl_keras.data.datasets.own import OwnDataset
from semppl_keras.data.images import big_images
from semppl_keras.data.images.files import read_image
from semppl_keras.data.images.opening import UnreadableImage

pytestmark = pytest.mark.any_backend

# So many pixels may be held here, and pictures have up to four times as many.
LIMIT = 9000
SIZE = (173, 151)


def _picture(mode):
    """A picture with edges, colours, noise and, where the mode has any, clear parts."""
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 40, (SIZE[1], SIZE[0], 4))
    noise[..., 0] += np.linspace(0, 200, SIZE[0]).astype(int)
    noise[..., 1] += np.linspace(0, 200, SIZE[1]).astype(int)[:, None]
    noise[..., 3] = np.where(noise[..., 2] > 10, 255, 90)
    picture = Image.fromarray(noise.astype("uint8"), "RGBA")
    ImageDraw.Draw(picture).ellipse((20, 30, 140, 90), (250, 20, 20, 255), "black")
    if mode == "P":
        return picture.convert("RGB").quantize(200)
    if mode in ("L", "1", "RGB", "CMYK"):
        return picture.convert("RGB").convert(mode)
    return picture.convert(mode)


def _means(path, factor):
    """The naive reference: the whole picture, and the mean of each square of it."""
    with Image.open(path) as image:
        image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    pixels = np.asarray(Image.alpha_composite(white, image).convert("RGB"), "float64")
    rows = range(0, pixels.shape[0], factor)
    columns = range(0, pixels.shape[1], factor)
    means = [
        [pixels[y : y + factor, x : x + factor].mean((0, 1)) for x in columns]
        for y in rows
    ]
    return np.floor(np.array(means) + 0.5).astype("uint8")


def _resized(means, side, factor):
    # The squares at the right and lower edge are not whole.
    box = (0, 0, SIZE[0] / factor, SIZE[1] / factor)
    image = Image.fromarray(means)
    return np.asarray(
        image.resize((side, side), Image.Resampling.LANCZOS, box, reducing_gap=2)
    )


def _saved(tmp_path, mode, form, **options):
    path = tmp_path / f"picture.{form}"
    _picture(mode).save(path, **options)
    return path


PNGS = [("png", mode, {}) for mode in ("RGB", "RGBA", "L", "LA", "P", "1")]
PNGS += [
    ("png", "P", {"transparency": 3}),
    ("png", "P", {"bits": 4}),
    ("png", "RGB", {"compress_level": 0}),
]
TIFFS = [
    ("tif", mode, {"compression": compression, "tiffinfo": {278: rows}})
    for mode, compression, rows in [
        ("RGB", None, 7),
        ("RGBA", "tiff_lzw", 7),
        ("L", "packbits", 1),
        ("P", "tiff_adobe_deflate", 7),
        ("1", "group4", 7),
        ("RGB", "jpeg", 16),
        ("CMYK", None, 50),
    ]
]
TIFFS += [
    ("tif", "RGB", {"compression": "tiff_adobe_deflate", "tiffinfo": {278: 7, 317: 2}}),
]


@pytest.mark.parametrize(("form", "mode", "options"), PNGS + TIFFS)
def test_the_means_of_the_whole(form, mode, options, tmp_path):
    path = _saved(tmp_path, mode, form, **options)
    # Of parts half as large as the shorter side has pixels: squares of two by two.
    side, factor = 37, 2
    expected = _resized(_means(path, factor), side, factor)
    for content in (path, path.read_bytes()):
        read = read_image(content, side, fit="stretch", max_pixels=LIMIT)
        np.testing.assert_allclose(read, expected, atol=2)
        # And so alike what is read of the whole.
        whole = read_image(content, side, fit="stretch")
        assert np.abs(read.astype(int) - whole).mean() < 3


def test_rows_of_one_part_hang_on_those_of_the_last(tmp_path, monkeypatch):
    path = _saved(tmp_path, "RGB", "png")
    at_once = read_image(path, 20, max_pixels=LIMIT)
    # Three rows, the last part of one.
    monkeypatch.setattr(big_images, "PART_BYTES", 3 * 3 * SIZE[0])
    np.testing.assert_array_equal(read_image(path, 20, max_pixels=LIMIT), at_once)


def test_tiles(tmp_path):
    """A TIFF file in tiles, written by hand: Pillow writes strips alone."""
    picture = np.asarray(_picture("RGB"))
    side = 64
    across, down = -(-SIZE[0] // side), -(-SIZE[1] // side)
    padded = np.zeros((down * side, across * side, 3), "uint8")
    padded[: SIZE[1], : SIZE[0]] = picture
    tiles = [
        padded[y : y + side, x : x + side].tobytes()
        for y in range(0, down * side, side)
        for x in range(0, across * side, side)
    ]
    count = len(tiles)
    entries = [
        (256, 3, 1, SIZE[0]),
        (257, 3, 1, SIZE[1]),
        (258, 3, 3, None),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (277, 3, 1, 3),
        (322, 3, 1, side),
        (323, 3, 1, side),
        (324, 4, count, None),
        (325, 4, count, None),
    ]
    behind = 8 + 2 + 12 * len(entries) + 4
    bits_at, offsets_at = behind, behind + 6
    counts_at = offsets_at + 4 * count
    data_at = counts_at + 4 * count
    places = {258: bits_at, 324: offsets_at, 325: counts_at}
    out = io.BytesIO()
    out.write(b"II*\0" + (8).to_bytes(4, "little"))
    out.write(len(entries).to_bytes(2, "little"))
    for tag, kind, number, value in entries:
        out.write(tag.to_bytes(2, "little") + kind.to_bytes(2, "little"))
        out.write(number.to_bytes(4, "little"))
        out.write((places[tag] if value is None else value).to_bytes(4, "little"))
    out.write(bytes(4))
    out.write(np.array([8, 8, 8], "<u2").tobytes())
    length = side * side * 3
    out.write((data_at + length * np.arange(count)).astype("<u4").tobytes())
    out.write(np.full(count, length, "<u4").tobytes())
    out.write(b"".join(tiles))
    path = tmp_path / "tiles.tif"
    path.write_bytes(out.getvalue())
    read = read_image(path, 37, fit="stretch", max_pixels=LIMIT)
    np.testing.assert_allclose(read, _resized(_means(path, 2), 37, 2), atol=2)


@pytest.mark.skipif(not features.check("jpg_2000"), reason="Pillow has no JPEG 2000")
def test_jpeg_2000_at_a_lower_resolution(tmp_path):
    path = _saved(tmp_path, "RGB", "jp2")
    read = read_image(path, 30, max_pixels=LIMIT)
    whole = read_image(path, 30)
    assert np.abs(read.astype(int) - whole).mean() < 8


def test_it_is_turned_as_the_file_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = {"png": {"exif": exif}, "tif": {"tiffinfo": {0x0112: 6, 278: 7}}}
    for form, options in turned.items():
        path = _saved(tmp_path, "RGB", form, **options)
        read = read_image(path, 20, max_pixels=LIMIT)
        whole = read_image(path, 20)
        assert np.abs(read.astype(int) - whole).mean() < 4


@pytest.mark.parametrize(
    ("form", "mode", "options", "reason"),
    [
        ("png", "I;16", {}, "more than 8 bits"),
        ("tif", "RGB", {"tiffinfo": {278: 151}}, "stored in one part"),
        ("webp", "RGB", {}, "hold in memory$"),
        ("gif", "P", {}, "hold in memory$"),
        ("jpg", "RGB", {"progressive": True}, "hold in memory$"),
    ],
)
def test_what_cannot_be_read_in_parts(form, mode, options, reason, tmp_path):
    if mode == "I;16":
        path = tmp_path / "deep.png"
        Image.fromarray(np.zeros(SIZE[::-1], "uint16")).save(path)
    else:
        path = _saved(tmp_path, mode, form, **options)
    with pytest.raises(UnreadableImage, match=f"more than 9,000 pixels.*{reason}"):
        read_image(path, 20, max_pixels=LIMIT)
    # A limit that is raised, and none of Pillow's, is what counts.
    assert read_image(path, 20, max_pixels=30_000).shape == (20, 20, 3)


def test_an_interlaced_picture_is_told():
    """Pillow writes none: the header says that it is one."""
    file = io.BytesIO()
    _picture("RGB").save(file, "PNG")
    content = bytearray(file.getvalue())
    content[28] = 1
    import struct
    import zlib

    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    with pytest.raises(UnreadableImage, match="rows are interlaced"):
        read_image(bytes(content), 20, max_pixels=LIMIT)


def test_damaged_files_are_told_whatever_they_hold(tmp_path):
    generator = np.random.default_rng(0)
    for form, options in (("png", {}), ("tif", {"tiffinfo": {278: 7}})):
        content = _saved(tmp_path, "RGB", form, **options).read_bytes()
        for length in (len(content) // 2, len(content) - 20):
            if form == "png":
                with pytest.raises(UnreadableImage):
                    read_image(content[:length], 20, max_pixels=LIMIT)
        for _ in range(20):
            broken = bytearray(content)
            for place in generator.integers(0, len(broken), 3):
                broken[place] = generator.integers(256)
            for place in generator.integers(8, 300, 2):
                broken[place] = generator.integers(256)
            try:
                read = read_image(bytes(broken), 8, max_pixels=LIMIT)
            # Whatever else it raises fails the test.
            except UnreadableImage:
                continue
            assert read.shape == (8, 8, 3)


def test_a_picture_that_would_take_too_long_is_refused(tmp_path):
    path = _saved(tmp_path, "RGB", "png")
    with pytest.raises(UnreadableImage, match="more than 5,000 pixels"):
        read_image(path, 20, max_pixels=5000)


def test_what_is_too_large_is_counted(tmp_path):
    for place in ("few/a", "few/b", "many"):
        (tmp_path / place).mkdir(parents=True)
    generator = np.random.default_rng(0)

    def save(place, side):
        pixels = generator.integers(0, 255, (side, side, 3), "uint8")
        Image.fromarray(pixels).save(tmp_path / place)

    for name in ("few/a/1.png", "few/b/1.png", "many/1.png", "many/2.png"):
        save(name, 20)
    # In parts, and not at all.
    save("many/3.png", 60)
    save("many/4.gif", 60)
    dataset = OwnDataset(
        str(tmp_path / "many"),
        str(tmp_path / "few"),
        image_size=8,
        max_skipped=0.5,
        max_megapixels=0.001,
    )
    dataset = OwnDataset.from_json(dataset.to_json())
    data = dataset.load()
    assert len(data.x_train) == 5
    (told,) = [remark for remark in data.remarks if "too many pixels" in remark]
    assert told.startswith("1 of 6 images have too many pixels")
    assert "--max-megapixels" in told
    more = OwnDataset.from_json({**dataset.to_json(), "max_megapixels": 0.004}).load()
    assert len(more.x_train) == 6
    assert "max_megapixels" not in OwnDataset("many", "few").to_json()
