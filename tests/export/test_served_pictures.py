"""Picture files are read for a served model as for training, and labelled alike."""

import io
import json
import re
import runpy
import shutil
import struct
import zlib

import keras
import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError
from short_run import short_run, write_own_images

import semppl_keras
from semppl_keras.cli import main
from semppl_keras.data.defaults import FITS
from semppl_keras.data.images.files import read_image
from semppl_keras.data.images.formats import readable_formats
from semppl_keras.data.images.value_ranges import as_ranges
from semppl_keras.distillation import ImageClassifier
from semppl_keras.export import (
    FORMATS,
    ImageEmbedder,
    export_model,
    script_path,
    served_pictures,
)
from semppl_keras.runs.finished import FinishedRun
from semppl_keras.runs.labelling import label_images
from semppl_keras.runs.safety.own_runs import signed

# Of the picture whose notes are broken.
pytestmark = pytest.mark.filterwarnings("ignore:Corrupt EXIF data")

# There TensorFlow writes all but Keras' own in a process of its own.
_MARKS = [pytest.mark.slow] if keras.backend.backend() != "tensorflow" else []


def _deep_rgb(pixels):
    """A PNG of 16 bits for each colour, which Pillow writes none of."""

    def chunk(kind, data):
        checked = kind + data
        check = struct.pack(">I", zlib.crc32(checked))
        return struct.pack(">I", len(data)) + checked + check

    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">2I5B", width, height, 16, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of pictures, of one bright drawing in every kind of file."""
    folder = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(0)
    height, width = 21, 30
    ramp = np.linspace(90, 250, width)[None, :, None] * np.ones((height, 1, 3))
    drawing = (ramp * generator.uniform(0.7, 1, (height, width, 3))).astype("uint8")
    rgb = Image.fromarray(drawing)
    # What a drawing program leaves under what is transparent is arbitrary.
    alpha = np.zeros((height, width), "uint8")
    alpha[4:12, 5:25] = 255
    alpha[12:14] = 100
    under = np.where(alpha[..., None] > 0, drawing, 0)
    rgba = Image.fromarray(np.dstack([under, alpha]))
    rgba.save(folder / "transparent.png")
    rgba.save(folder / "transparent.webp", lossless=True, exact=True)
    rgba.save(folder / "transparent.tif")
    rgba.convert("LA").save(folder / "grey_and_alpha.png")
    palette = rgb.convert("P", palette=Image.Palette.ADAPTIVE, colors=16)
    palette.save(folder / "palette.png")
    palette.save(folder / "palette_of_one_transparent.png", transparency=3)
    palette.save(folder / "palette.gif", transparency=2)
    shares = bytes(generator.integers(0, 256, 16).astype("uint8"))
    palette.save(folder / "palette_of_many_transparent.png", transparency=shares)
    rgb.convert("L").save(folder / "grey_of_one_transparent.png", transparency=200)
    rgb.save(
        folder / "colour_transparent.png", transparency=tuple(drawing[3, 4].tolist())
    )
    rgb.convert("1").save(folder / "bits.png")
    deep = generator.integers(0, 65536, (height, width)).astype("uint16")
    for ending in ("png", "tif"):
        Image.fromarray(deep).save(folder / f"deep.{ending}")
    Image.fromarray(deep.astype("int32")).save(folder / "deep_integers.tif")
    Image.fromarray((deep / 65535).astype("float32")).save(folder / "floats.tif")
    deep_colours = drawing.astype("uint16") * 257
    (folder / "deep_colours.png").write_bytes(_deep_rgb(deep_colours))
    exif = Image.Exif()
    for orientation in range(1, 9):
        exif[0x0112] = orientation
        rgb.save(folder / f"turned_{orientation}.jpg", exif=exif)
    rgb.save(folder / "turned.png", exif=exif)
    rgb.save(folder / "broken_notes.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff broken")
    for ending in ("jpg", "tif"):
        rgb.convert("CMYK").save(folder / f"print.{ending}")
    # Decoded at a reduced size.
    rgb.resize((640, 448)).save(folder / "large.jpg")
    rgb.convert("L").resize((640, 448)).save(folder / "large_grey.jpg")
    rgb.convert("YCbCr").save(folder / "luma.tif")
    return folder


@pytest.mark.any_backend
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [8, 33])
@pytest.mark.parametrize("fit", FITS)
def test_they_are_read_as_for_training(pictures, channels, size, fit, tmp_path):
    # Beside floats up to 1 they would be of one range with these.
    floats = tmp_path / "floats_up_to_255.tif"
    values = np.random.default_rng(0).uniform(0, 255, (21, 30))
    Image.fromarray(values.astype("float32")).save(floats)
    paths = [*sorted(pictures.iterdir()), floats]
    assert len(paths) > 30
    for path in paths:
        expected = read_image(path, size, channels, fit=fit)
        for file in (path, io.BytesIO(path.read_bytes())):
            read = served_pictures.read_picture(file, size, channels, fit=fit)
            np.testing.assert_array_equal(read, expected, err_msg=path.name)


@pytest.mark.any_backend
def test_they_are_of_the_formats_of_training_alone(tmp_path):
    assert set(readable_formats()) <= set(served_pictures.FORMATS)
    # For which Pillow would start Ghostscript.
    Image.new("RGB", (4, 4)).save(tmp_path / "it.eps")
    with pytest.raises(UnidentifiedImageError):
        served_pictures.read_picture(tmp_path / "it.eps", 4)


@pytest.mark.any_backend
def test_deep_images_are_of_the_range_that_is_given(tmp_path):
    path = tmp_path / "twelve_bits.png"
    Image.fromarray(np.array([[0, 4095], [819, 2048]], "uint16")).save(path)
    read = served_pictures.read_picture(path, 2, 1, (0, 4095))
    assert read[..., 0].tolist() == [[0, 255], [51, 128]]
    for pair in ((0, 4095), (100, 2048)):
        ranges = as_ranges(pair)
        read = served_pictures.read_picture(path, 2, 1, *ranges)
        np.testing.assert_array_equal(read, read_image(path, 2, 1, ranges))
    # PGM tells its own largest value.
    Image.fromarray(np.array([[0, 4095]], "int32")).save(tmp_path / "it.pgm")
    read = served_pictures.read_picture(tmp_path / "it.pgm", 1, 1, (0, 4095))
    expected = read_image(tmp_path / "it.pgm", 1, 1, as_ranges((0, 4095)))
    np.testing.assert_array_equal(read, expected)
    path = tmp_path / "colours.png"
    path.write_bytes(_deep_rgb(np.full((2, 2, 3), 2000, "uint16")))
    with pytest.raises(ValueError, match="from 0 to 65535. Received: .*colours.png"):
        served_pictures.read_picture(path, 2, 3, (0, 4095))


def _brightness():
    """A classifier of 12 pixels that tells bright from dark, on every backend alike."""
    pixels = keras.Input((12, 12, 3))
    means = keras.layers.Flatten()(keras.layers.AveragePooling2D(4)(pixels))
    logits = keras.layers.Dense(2)
    head = keras.Sequential([keras.layers.Input((27,)), logits])
    weights = np.linspace(0.5, 1.5, 27) * 20 / 27
    logits.set_weights([np.stack([weights, -weights], axis=1), np.array([-12.0, 12.0])])
    views = semppl_keras.views.MultiCrop(1, 0, 12)
    names = ["bright", "dark"]
    return ImageClassifier(keras.Model(pixels, means), head, views, class_names=names)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with a classifier of its own."""
    folder = tmp_path_factory.mktemp("own")
    options = write_own_images(folder)
    with short_run(folder / "run", *options, "--image-size", "12") as run:
        _brightness().save(run / "classifier.keras")
        (run / "classifier.json").write_text('{"how": "fine-tuned"}')
        yield run


def _exported(run, folder, format):
    path = folder / f"classifier{FORMATS[format]}"
    assert main(["export", str(run), "--format", format, "--out", str(path)]) == 0
    return runpy.run_path(str(script_path(path)))


def _check_served(run, pictures, folder, format):
    """A script and `semppl label` agree on every picture, and on its pixels."""
    finished = FinishedRun(run)
    classifier, _ = finished.classifier()
    labels = label_images(finished, classifier, pictures)
    assert len(labels.names) == len(list(pictures.iterdir()))
    script = _exported(run, folder, format)
    assert script["NAMES"] == list(finished.class_names)
    assert script["FIT"] == finished.fit
    given = script["ask"](labels.names)
    np.testing.assert_allclose(given, labels.probabilities, atol=1e-5)
    assert given.argmax(axis=1).tolist() == (
        labels.probabilities.argmax(axis=1).tolist()
    )
    assert len(set(given.argmax(axis=1))) == 2
    # Which the usual way of opening them would not do.
    usual = Image.open(pictures / "transparent.png").convert("RGB").resize((12, 12))
    row = labels.names.index(str(pictures / "transparent.png"))
    (spoilt,) = script["load"]()(np.array(usual)[None])
    assert np.abs(spoilt - labels.probabilities[row]).max() > 0.01


@pytest.mark.any_backend
def test_the_keras_file_labels_pictures_as_label_does(run, pictures, tmp_path):
    _check_served(run, pictures, tmp_path, "keras")


@pytest.mark.parametrize("format", [pytest.param("onnx", marks=_MARKS)])
def test_the_onnx_file_labels_pictures_as_label_does(run, pictures, tmp_path, format):
    _check_served(run, pictures, tmp_path, format)


@pytest.mark.slow
@pytest.mark.parametrize("format", ["saved_model", "litert"])
def test_other_formats_label_pictures_as_label_does(run, pictures, tmp_path, format):
    _check_served(run, pictures, tmp_path, format)


@pytest.mark.any_backend
@pytest.mark.parametrize("fit", ["crop", "stretch"])
def test_pictures_become_squares_as_those_of_the_run(
    run, pictures, tmp_path, fit, capsys
):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    settings = json.loads((copy / "run.json").read_text())
    settings["dataset"]["fit"] = fit
    (copy / "run.json").write_text(json.dumps(signed(settings)))
    _check_served(copy, pictures, tmp_path, "keras")
    assert f"(--fit {fit})" in capsys.readouterr().out


@pytest.mark.parametrize("format", ["keras", pytest.param("onnx", marks=_MARKS)])
def test_arrays_of_any_proportions_become_squares_within(format, tmp_path):
    # The mean of what is seen: of all of a wide picture, and of bars beside it.
    pixels = keras.Input((8, 8, 3))
    means = keras.layers.GlobalAveragePooling2D()(pixels)
    images = np.zeros((2, 8, 16, 3), "uint8")
    images[:, :, :4] = 255
    for fit, expected in (
        ("crop", 0),
        ("stretch", 1 / 4),
        ("pad", 1 / 8 + 127 / 255 / 2),
    ):
        views = semppl_keras.views.MultiCrop(1, 0, 8, fit=fit)
        model = ImageEmbedder(keras.Model(pixels, means), views)
        path = tmp_path / f"{fit}{FORMATS[format]}"
        export_model(model, path, format, fit=fit)
        script = runpy.run_path(str(script_path(path)))
        features = script["load"]()(images)
        np.testing.assert_allclose(features, np.full((2, 3), expected), atol=1e-3)


@pytest.mark.any_backend
def test_the_script_is_a_command(run, pictures, tmp_path, capsys, monkeypatch):
    _exported(run, tmp_path, "keras")
    path = script_path(tmp_path / "classifier.keras")
    assert f"python {path} PICTURE" in capsys.readouterr().out
    picture = pictures / "transparent.png"
    monkeypatch.setattr("sys.argv", [str(path), str(picture)])
    runpy.run_path(str(path), run_name="__main__")
    name, label, share = capsys.readouterr().out.strip().split("\t")
    assert name == str(picture)
    assert label in ("bright", "dark")
    assert re.fullmatch(r"\d+\.\d%", share)


def _embedder(channels, **settings):
    backbone = semppl_keras.backbones.SmallResNet(
        (4,), input_shape=(None, None, channels)
    )
    views = semppl_keras.views.MultiCrop(1, 0, 8, **settings)
    return ImageEmbedder(backbone, views)


@pytest.mark.any_backend
def test_features_of_pictures(pictures, tmp_path):
    model = _embedder(3, value_range=(-1, 1))
    path = export_model(model, tmp_path / "it.keras", "keras", image_size=10)
    files = [pictures / "transparent.png", pictures / "turned_6.jpg"]
    given = runpy.run_path(str(script_path(path)))["ask"](files)
    images = np.stack([read_image(file, 10) for file in files])
    expected = model.predict(images / np.float32(127.5) - 1, verbose=0)
    np.testing.assert_allclose(given, expected, atol=1e-5)


def test_names_are_literals_in_the_script(tmp_path):
    backbone = _embedder(1).backbone
    head = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)])
    names = ['"""\nraise SystemExit(1)', "\\'; {size} %s\x1b"]
    classifier = ImageClassifier(backbone, head, _embedder(1).views, class_names=names)
    path = export_model(classifier, tmp_path / '"""\\N{x}.keras', "keras")
    script = runpy.run_path(str(script_path(path)))
    assert script["NAMES"] == names
    assert script["MODEL"] == path


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 0}, "`image_size` must be an integer of at least 1"),
        ({"image_size": 8.0}, "`image_size` must be an integer of at least 1"),
        ({"fit": "squash"}, "`fit` must be one of pad, crop, stretch"),
        ({"value_range": (5, 5)}, "`value_range` must be two finite numbers"),
        ({"value_range": "ab"}, "`value_range` must be two finite numbers"),
        ({"value_range": 4095}, "`value_range` must be two finite numbers"),
    ],
)
def test_what_no_picture_has_is_told(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        export_model(_embedder(3), tmp_path / "it.keras", "keras", **options)
    assert list(tmp_path.iterdir()) == []
