"""Lists of images from every source, decoded into arrays, and kept."""

import hashlib
import json
import os
import sys
import threading

import numpy as np
import PIL
import pytest
from PIL import Image

from semppl_keras.data.images import cache as image_cache
from semppl_keras.data.images.cache import decode_cached, free_memory
from semppl_keras.data.images.decoding import (
    TooManyUnreadable,
    decode_into,
    find_ranges,
    read_images,
    remarks_on_files,
)
from semppl_keras.data.images.files import read_image
from semppl_keras.data.images.formats import readable_formats
from semppl_keras.data.images.image_list import file_state
from semppl_keras.data.images.opening import UnreadableImage
from semppl_keras.data.images.source_names import resolved_source
from semppl_keras.data.images.sources import open_images
from semppl_keras.data.images.value_ranges import ValueRanges

pytestmark = pytest.mark.any_backend


def _write(folder, count, start=0, ending=".png", size=10):
    """Images of noise, which no two share; each is told by its seed."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(start, start + count):
        noise = np.random.default_rng(index).integers(0, 256, (size, size, 3), "uint8")
        Image.fromarray(noise).save(folder / f"{index:03}{ending}")


def _decoded(images, size=10, channels=3, fit="pad", **options):
    rows = np.zeros((len(images), size, size, channels), "uint8")
    return rows, decode_into(rows, images, fit=fit, **options)


# -- decoding ---------------------------------------------------------------------


@pytest.mark.parametrize("workers", [None, 1, 5])
def test_rows_are_in_the_order_of_the_list(tmp_path, workers):
    _write(tmp_path, 50)
    images = open_images(tmp_path, "unlabelled")
    steps = []
    rows, decoded = _decoded(
        images, workers=workers, progress=lambda *step: steps.append(step)
    )
    for name, row in zip(images.names, rows, strict=True):
        np.testing.assert_array_equal(row, read_image(name, 10))
    assert decoded.kept == list(range(50))
    assert len(set(decoded.digests)) == 50
    assert decoded.skipped == decoded.repeated == []
    assert steps == [(done, 50) for done in range(1, 51)]


def test_broken_ones_are_left_out_and_told(tmp_path):
    _write(tmp_path, 20)
    (tmp_path / "004.png").write_bytes(b"")
    (tmp_path / "011.png").unlink()
    (tmp_path / "011.png").symlink_to("nowhere")
    images = open_images(tmp_path, "unlabelled")
    rows, decoded = _decoded(images, max_skipped=0.1)
    assert [entry.name for entry in decoded.skipped] == [
        str(tmp_path / "004.png"),
        str(tmp_path / "011.png"),
    ]
    assert decoded.skipped[0].reason == "it is empty"
    assert decoded.kept == [n for n in range(20) if n not in (4, 11)]
    np.testing.assert_array_equal(rows[4], read_image(tmp_path / "005.png"))
    assert not rows[18:].any()
    with pytest.raises(ValueError, match=r"At most 5% of 20.*: 2, such.*004.png"):
        _decoded(images)
    # All of them are told, not the first alone that is one too many.
    with pytest.raises(TooManyUnreadable, match=r"Received: 2, such") as error:
        _decoded(images, max_skipped=0)
    assert error.value.skipped == decoded.skipped


def test_a_file_that_vanishes_meanwhile(tmp_path):
    _write(tmp_path, 3)
    images = open_images(tmp_path, "unlabelled")
    (tmp_path / "001.png").unlink()
    _, decoded = _decoded(images, max_skipped=1)
    assert decoded.skipped == [(str(tmp_path / "001.png"), "it is not there")]


def test_copies_of_the_first_are_left_out(tmp_path):
    _write(tmp_path / "labelled" / "a", 3)
    _write(tmp_path / "all", 6)
    Image.open(tmp_path / "all" / "002.png").save(tmp_path / "all" / "x.tif")
    labelled = open_images(tmp_path / "labelled", "labelled")
    both = labelled + open_images(tmp_path / "all", "unlabelled")
    _, decoded = _decoded(both, num_first=3)
    repeated = [both.names[index] for index in decoded.repeated]
    copies = ("000.png", "001.png", "002.png", "x.tif")
    assert repeated == [str(tmp_path / "all" / name) for name in copies]
    assert decoded.kept == [0, 1, 2, 6, 7, 8]
    assert decoded.duplicates == []


@pytest.mark.parametrize("workers", [1, 5])
def test_copies_of_others_are_left_out(tmp_path, workers):
    _write(tmp_path / "labelled" / "a", 1)
    Image.open(tmp_path / "labelled" / "a" / "000.png").save(
        tmp_path / "labelled" / "a" / "again.png"
    )
    _write(tmp_path / "all", 3, start=5)
    for name in ("006.bmp", "x.tif"):
        Image.open(tmp_path / "all" / "006.png").save(tmp_path / "all" / name)
    labelled = open_images(tmp_path / "labelled", "labelled")
    both = labelled + open_images(tmp_path / "all", "unlabelled")
    rows, decoded = _decoded(both, num_first=2, workers=workers)
    # The first of each stays, and what comes first stays whatever it is.
    names = [os.path.basename(both.names[index]) for index in decoded.kept]
    assert names == ["000.png", "again.png", "005.png", "006.bmp", "007.png"]
    names = [os.path.basename(both.names[index]) for index in decoded.duplicates]
    assert names == ["006.png", "x.tif"]
    assert decoded.repeated == []
    np.testing.assert_array_equal(rows[4], read_image(tmp_path / "all" / "007.png"))
    # Where nothing else is said all are kept.
    _, decoded = _decoded(both, workers=workers)
    assert decoded.kept == list(range(7))
    assert decoded.duplicates == []


def test_after_an_error_nothing_is_left_running(tmp_path):
    for index in range(40):
        (tmp_path / f"{index}.png").touch()
    images = open_images(tmp_path, "unlabelled")
    errors = []
    for attempt in (lambda: _decoded(images), lambda: read_images(images.names, 4, 3)):
        with pytest.raises(ValueError, match="it is empty") as error:
            attempt()
        # Although the error is still there, and with it what it came through.
        errors.append(error)
        names = [thread.name for thread in threading.enumerate()]
        assert not any(name.startswith("semppl_decode") for name in names)


def test_an_error_in_the_decoding_is_no_unreadable_image(tmp_path):
    _write(tmp_path, 1)
    images = open_images(tmp_path, "unlabelled")

    def fail(*step):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _decoded(images, progress=fail)


def test_images_of_one_size(tmp_path):
    _write(tmp_path, 3)
    Image.new("L", (10, 10)).save(tmp_path / "grey.png")
    paths = sorted(tmp_path.iterdir())
    assert read_images(paths).shape == (4, 10, 10, 3)
    assert read_images(paths[-1:]).shape == (1, 10, 10, 1)
    assert read_images(paths, 4, 1).shape == (4, 4, 4, 1)
    _write(tmp_path, 1, start=7, size=9)
    with pytest.raises(ValueError, match="Without `image_size`"):
        read_images(sorted(tmp_path.iterdir()))
    (tmp_path / "000.png").write_text("none")
    with pytest.raises(UnreadableImage, match="000.png"):
        read_images(paths, 4, 1)


# -- deep images ------------------------------------------------------------------


def _write_deep(folder, largest, dtype="uint16", start=0):
    """Grey images from 0 to each of the values."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, most in enumerate(largest, start):
        values = np.linspace(0, most, 16).reshape(4, 4).astype(dtype)
        ending = ".png" if dtype == "uint16" else ".tif"
        Image.fromarray(values).save(folder / f"{index:03}{ending}")


def test_the_range_is_that_of_the_set(tmp_path):
    _write_deep(tmp_path, [4095, 1000, 200])
    _write(tmp_path, 2, start=10)
    (tmp_path / "none.png").write_text("none")
    images = open_images(tmp_path, "unlabelled")
    steps = []
    ranges, (remark,) = find_ranges(images, None, lambda *step: steps.append(step))
    assert ranges == ((0, 4095), None)
    assert steps == [(1, 6), (2, 6), (3, 6)]
    told = "3 of 6 images hold integers of more than 8 bits, from 0 to 4,095: of all"
    assert remark.startswith(told)
    assert "0 becomes black and 4,095 white" in remark
    rows, decoded = _decoded(images, 4, 1, ranges=ranges, max_skipped=1)
    # None of them is scaled by itself, and those of 8 bits stay.
    assert rows[:3].max(axis=(1, 2, 3)).tolist() == [255, 62, 12]
    np.testing.assert_array_equal(rows[3], read_image(images.names[3], 4, 1))
    assert decoded.beyond == []
    # As a set whose range was found before.
    known = {"integers": [0, 1023], "floats": None}
    ranges, remarks = find_ranges(images, known)
    assert (ranges, remarks) == (((0, 1023), None), [])
    rows, decoded = _decoded(images, 4, 1, ranges=ranges, max_skipped=1)
    assert rows[:3].max(axis=(1, 2, 3)).tolist() == [255, 249, 50]
    assert decoded.beyond == [0]
    (remark,) = remarks_on_files(decoded, 6, "images")
    assert remark.startswith("1 of 6 images hold values beyond the range")
    assert "--value-range" in remark
    (remark,) = remarks_on_files(decoded, 6, "images", of_run=True)
    assert "beyond the range of the run" in remark
    assert "--value-range" not in remark
    assert find_ranges(images, "each") == (None, [])
    assert find_ranges(images, (5, 6)) == (((5, 6), (5, 6)), [])


def test_floats_are_of_one_range_too(tmp_path):
    _write_deep(tmp_path, [1.0, 200.0], "float32")
    _write_deep(tmp_path, [900], start=5)
    images = open_images(tmp_path, "unlabelled")
    ranges, remarks = find_ranges(images)
    assert ranges == ((0, 1023), (0, 255))
    assert len(remarks) == 2
    rows, _ = _decoded(images, 4, 1, ranges=ranges)
    assert rows.max(axis=(1, 2, 3)).tolist() == [1, 200, 224]
    # Of a set that is read like another no range is to be chosen.
    assert all("--value-range" in remark for remark in remarks)
    _, (remark,) = find_ranges(images, {"integers": [0, 1023], "floats": None})
    assert remark.endswith("255 white.")


def test_several_frames_are_told(tmp_path):
    _write(tmp_path, 3)
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green")]
    frames[0].save(tmp_path / "z.gif", save_all=True, append_images=frames[1:])
    _, decoded = _decoded(open_images(tmp_path, "unlabelled"))
    assert decoded.several == [3]
    told = "1 of 4 images are files of several frames or pages, of which the first"
    assert remarks_on_files(decoded, 4, "images")[0].startswith(told)


# -- sources ----------------------------------------------------------------------


def test_folders(tmp_path):
    _write(tmp_path / "cat", 2)
    _write(tmp_path / "dog" / "deep", 1, start=2)
    _write(tmp_path, 1, start=3)
    unlabelled = open_images(tmp_path, "unlabelled")
    assert len(unlabelled) == 4
    assert unlabelled.labels is None
    labelled = open_images(str(tmp_path), "labelled")
    assert labelled.labels == ("cat", "cat", "dog")
    assert labelled.usual_side("pad") == 10
    assert labelled.coloured()


def test_tables(tmp_path):
    _write(tmp_path / "photos", 2)
    table = tmp_path / "labels.csv"
    table.write_text("path,label\nphotos/000.png,cat\nphotos/001.png,dog\n")
    images = open_images(table, "test")
    assert images.labels == ("cat", "dog")
    assert images.names[0] == str(tmp_path / "photos" / "000.png")
    assert open_images(table, "unlabelled").labels is None


def test_grey_images_and_broken_headers(tmp_path):
    Image.new("L", (7, 5)).save(tmp_path / "grey.png")
    (tmp_path / "broken.png").write_text("none")
    images = open_images(tmp_path, "unlabelled")
    assert not images.coloured()
    # The central square has the shorter side.
    sides = [images.usual_side(fit) for fit in ("pad", "crop", "stretch")]
    assert sides == [7, 5, 7]
    (tmp_path / "grey.png").unlink()
    assert open_images(tmp_path, "unlabelled").usual_side("pad") is None


@pytest.mark.parametrize("channels", [(), (1,), (3,)])
def test_npz(tmp_path, channels):
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (5, 8, 8, *channels), "uint8")
    path = tmp_path / "some.npz"
    names = np.array(["cat", "dog"])
    np.savez(path, images=pixels, labels=[0, 1, -1, 1, 0], class_names=names)
    images = open_images(f"npz:{path}", "labelled")
    assert images.labels == ("cat", "dog", "dog", "cat")
    assert images.coloured() == (channels == (3,))
    rows, _ = _decoded(images, 8, channels[0] if channels else 1)
    np.testing.assert_array_equal(
        rows.reshape(4, 8, 8, *channels), pixels[[0, 1, 3, 4]]
    )
    assert len(open_images(f"npz:{path}", "unlabelled")) == 5
    assert len(open_images(f"npz:{path}", "test")) == 4

    names = np.array([b"cat", "K\u00e4fer".encode()])
    np.savez(path, images=pixels, labels=[0, 1, 0, 1, 0], class_names=names)
    images = open_images(f"npz:{path}", "labelled")
    assert images.labels == ("cat", "K\u00e4fer", "cat", "K\u00e4fer", "cat")
    for dtype in ("U", "S"):
        np.savez(path, x_train=pixels, y_train=np.array(list("xyxyz"), dtype))
        assert open_images(f"npz:{path}", "labelled").labels == tuple("xyxyz")
    with pytest.raises(ValueError, match="must hold the arrays x_test, y_test or "):
        open_images(f"npz:{path}", "test")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": np.zeros((3, 4, 4), "uint8"), "labels": [0, 1]}, "3 images and"),
        ({"images": np.zeros((3, 4), "uint8"), "labels": [0, 1, 1]}, r"\(3, 4\)"),
        ({"images": np.full((2, 4, 4), 0.5), "labels": [0, 1]}, "multiply by 255"),
        ({"images": np.zeros((2, 4, 4), "uint8"), "labels": [0.0, 1]}, "astype"),
        (
            {
                "images": np.zeros((2, 4, 4), "uint8"),
                "labels": [0, 2],
                "class_names": ["a", "b"],
            },
            "number the 2 class names.*Received: 2",
        ),
        *(
            (
                {
                    "images": np.zeros((2, 4, 4), "uint8"),
                    "labels": [0, 1],
                    "class_names": names,
                },
                "`class_names` must be different texts, one for each class",
            )
            # Two classes would be one, or one of them none.
            for names in (["a", "a"], ["a", " a "], ["", "b"], "ab", [["a", "b"]])
        ),
        (
            {"images": np.zeros((2, 4, 4), "uint8"), "labels": [b"a", b"K\xe4se"]},
            "'labels' in .* must be texts, or bytes in UTF-8.*xe4",
        ),
    ],
)
def test_npz_that_is_wrong(tmp_path, arrays, message):
    np.savez(tmp_path / "some.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        open_images(f"npz:{tmp_path / 'some.npz'}", "labelled")


def test_tfrecords(tmp_path):
    tf = pytest.importorskip("tensorflow")

    def write(name, *examples):
        with tf.io.TFRecordWriter(str(tmp_path / name)) as writer:
            for features in examples:
                writer.write(
                    tf.train.Example(
                        features=tf.train.Features(feature=features)
                    ).SerializeToString()
                )

    def of_bytes(value):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    def of_int(value):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

    _write(tmp_path / "png", 3)
    encoded = [path.read_bytes() for path in sorted((tmp_path / "png").iterdir())]
    write(
        "a-0.tfrecord",
        {"image/encoded": of_bytes(encoded[0]), "image/class/text": of_bytes(b"cat")},
        {"image/encoded": of_bytes(encoded[1]), "image/class/text": of_bytes(b"dog")},
    )
    write(
        "a-1.tfrecord",
        {"image/encoded": of_bytes(encoded[2]), "image/class/label": of_int(7)},
    )
    images = open_images(f"tfrecord:{tmp_path}/a-*", "labelled")
    assert images.labels == ("cat", "dog", "7")
    rows, _ = _decoded(images)
    np.testing.assert_array_equal(rows[2], read_image(encoded[2]))
    write("b.tfrecord", {"image/encoded": of_bytes(encoded[0])})
    assert len(open_images(f"tfrecord:{tmp_path}/b.tfrecord", "unlabelled")) == 1
    with pytest.raises(ValueError, match="example 0 with image/encoded"):
        open_images(f"tfrecord:{tmp_path}/b.tfrecord", "labelled")
    write(
        "u.tfrecord",
        {"image/encoded": of_bytes(encoded[0]), "image/class/label": of_int(-1)},
        {"image/encoded": of_bytes(encoded[1]), "image/class/label": of_int(3)},
        {"image/encoded": of_bytes(encoded[2]), "image/class/text": of_bytes(b"")},
    )
    images = open_images(f"tfrecord:{tmp_path}/u.tfrecord", "labelled")
    assert images.labels == ("3",)
    assert images.names == (f"tfrecord:{tmp_path}/u.tfrecord[1]",)
    rows, decoded = _decoded(images)
    assert decoded.kept == [0]
    np.testing.assert_array_equal(rows[0], read_image(encoded[1]))
    assert len(open_images(f"tfrecord:{tmp_path}/u.tfrecord", "unlabelled")) == 3
    write("c.tfrecord", {"jpeg": of_bytes(b"")})
    with pytest.raises(ValueError, match="example 0 with jpeg"):
        open_images(f"tfrecord:{tmp_path}/c.tfrecord", "unlabelled")
    (tmp_path / "d.tfrecord").write_text("this is no record at all")
    with pytest.raises(ValueError, match="cannot be read"):
        open_images(f"tfrecord:{tmp_path}/d.tfrecord", "unlabelled")
    with pytest.raises(FileNotFoundError, match="TFRecord files"):
        open_images(f"tfrecord:{tmp_path}/none*", "unlabelled")


def test_tfrecords_without_tensorflow(tmp_path, monkeypatch):
    (tmp_path / "a.tfrecord").touch()
    monkeypatch.setitem(sys.modules, "semppl_keras.data.images.tf_records", None)
    with pytest.raises(ImportError, match="needs TensorFlow, whichever backend"):
        open_images(f"tfrecord:{tmp_path}/a.tfrecord", "unlabelled")


# Importing TensorFlow Datasets and its protocol buffers warns of what is to come.
@pytest.mark.filterwarnings("default")
def test_tfds(tmp_path, monkeypatch):
    tfds = pytest.importorskip("tensorflow_datasets")
    tf = pytest.importorskip("tensorflow")

    def examples():
        for index in range(6):
            noise = np.random.default_rng(index).integers(0, 256, (6 + index, 8, 3))
            yield {"image": noise.astype("uint8"), "label": index % 3 - 1}

    dataset = tf.data.Dataset.from_generator(
        examples,
        output_signature={
            "image": tf.TensorSpec((None, 8, 3), "uint8"),
            "label": tf.TensorSpec((), "int64"),
        },
    )
    tfds.dataset_builders.store_as_tfds_dataset(
        name="few_pets",
        version="1.0.0",
        features=tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(None, 8, 3)),
                "label": tfds.features.Scalar(np.int64),
            }
        ),
        split_datasets={"train": dataset},
        data_dir=str(tmp_path),
    )
    builder = tfds.builder
    monkeypatch.setattr(
        tfds, "builder", lambda name, **_: builder(name, data_dir=tmp_path)
    )
    # Images of any size, here; those of an unknown label (-1) left out.
    images = open_images("tfds:few_pets#train", "labelled")
    assert sorted(images.labels) == ["0", "0", "1", "1"]
    rows, _ = _decoded(images, 5)
    assert len({row.tobytes() for row in rows}) == 4
    assert len(open_images("tfds:few_pets", "unlabelled")) == 6
    with pytest.raises(ValueError, match="tfds:NAME#SPLIT"):
        open_images("tfds:few_pets", "test")


@pytest.mark.parametrize("role", ["unlabelled", "labelled", "test"])
def test_sources_that_are_none(tmp_path, role):
    with pytest.raises(FileNotFoundError, match=f"{role} images.*nothing is"):
        open_images(tmp_path / "none", role)
    with pytest.raises(FileNotFoundError, match="table"):
        open_images(tmp_path / "none.csv", role)
    (tmp_path / "file.doc").touch()
    with pytest.raises(FileNotFoundError, match="a file that is none of them"):
        open_images(tmp_path / "file.doc", role)
    (tmp_path / "file.doc").unlink()
    with pytest.raises(ValueError, match="Received: none"):
        open_images(tmp_path, role)


def test_resolved_sources(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    here = os.getcwd()
    assert resolved_source("images") == f"{here}/images"
    assert resolved_source("npz:a.npz") == f"npz:{here}/a.npz"
    assert resolved_source("tfrecord:a-*") == f"tfrecord:{here}/a-*"
    assert resolved_source("tfds:mnist:3.0.1#train") == "tfds:mnist:3.0.1#train"


# -- the cache --------------------------------------------------------------------


@pytest.fixture
def images(tmp_path):
    _write(tmp_path / "images", 12)
    (tmp_path / "images" / "003.png").write_text("none")
    return tmp_path / "images"


def _cached(folder, cache, size=6, fit="pad", **options):
    return decode_cached(
        open_images(folder, "unlabelled"),
        size,
        3,
        fit=fit,
        folder=cache,
        max_skipped=0.2,
        **options,
    )


@pytest.mark.parametrize("place", ["memory", "disk", "auto"])
@pytest.mark.parametrize("named", [True, False])
def test_every_place_gives_the_same(tmp_path, images, place, named):
    cache = tmp_path / "cache" if named else None
    rows, decoded = _cached(images, cache, place=place)
    assert rows.shape == (11, 6, 6, 3)
    assert decoded.kept == [n for n in range(12) if n != 3]
    assert decoded.skipped[0].name.endswith("003.png")
    np.testing.assert_array_equal(rows[3], read_image(images / "004.png", 6))
    on_disk = place == "disk" and named
    assert (tmp_path / "cache").exists() == on_disk
    assert isinstance(rows, np.memmap) == (place == "disk")


def test_what_is_on_disk_is_used_again(tmp_path, images, monkeypatch):
    cache = tmp_path / "cache"
    first, _ = _cached(images, cache, place="disk")
    assert sorted(path.suffix for path in cache.iterdir()) == [".json", ".npy"]
    with monkeypatch.context() as patch:
        patch.setattr(image_cache, "decode_into", None)
        rows, decoded = _cached(images, cache)
        assert decoded.skipped[0].reason.startswith("it is none of")
        np.testing.assert_array_equal(rows, first)
        assert not rows.flags.writeable
        # Another list, size, fit or state of a file is another cache.
        for change in (
            lambda: _cached(images, cache, size=5),
            lambda: _cached(images, cache, fit="stretch"),
            lambda: _cached(images, cache, fit="crop"),
            lambda: os.utime(images / "004.png", (1, 1)) or _cached(images, cache),
            lambda: (images / "005.png").unlink() or _cached(images, cache),
        ):
            with pytest.raises(TypeError, match="not callable"):
                change()
    listed = open_images(images, "unlabelled")
    with pytest.raises(ValueError, match="At most 0%"):
        decode_cached(listed, 6, 3, fit="pad", folder=cache, max_skipped=0)


def test_a_cache_that_names_no_fit_is_of_central_squares(tmp_path, images):
    cache = tmp_path / "cache"
    _cached(images, cache, fit="crop", place="disk")
    states = open_images(images, "unlabelled").states()
    described = [4, PIL.__version__, readable_formats(), (12, 6, 6, 3), None, None]
    digest = hashlib.blake2b(
        json.dumps([*described, states]).encode(), digest_size=12
    ).hexdigest()
    assert (cache / f"images_{digest}.npy").exists()


def test_a_file_that_is_replaced_is_decoded_anew(tmp_path, images):
    cache, path, other = tmp_path / "cache", images / "004.bmp", tmp_path / "other.bmp"
    Image.open(images / "004.png").save(path)
    (images / "004.png").unlink()
    first = np.array(_cached(images, cache, place="disk")[0])
    Image.open(path).transpose(Image.Transpose.ROTATE_180).save(other)
    # As `tar`, `rsync -t` and `mv` replace it: of the same size and time.
    status = path.stat()
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.replace(other, path)
    assert path.stat().st_size == status.st_size
    assert path.stat().st_mtime_ns == status.st_mtime_ns
    again = np.array(_cached(images, cache, place="disk")[0])
    np.testing.assert_array_equal(again[3], read_image(path, 6))
    assert (again[3] != first[3]).any()
    np.testing.assert_array_equal(np.delete(again, 3, 0), np.delete(first, 3, 0))


@pytest.mark.parametrize("tells_change", [True, False])
def test_the_state_of_a_file_is_another_where_it_is(tmp_path, tells_change):
    path = tmp_path / "a.bmp"
    path.write_bytes(bytes(2_000_000))
    before = file_state(path, tells_change)
    assert file_state(path, tells_change) == before
    json.dumps(before)
    status = path.stat()
    # Written over, as `cp -p` does. The clock of a system may have wide ticks.
    while path.stat().st_ctime_ns == status.st_ctime_ns:
        path.write_bytes(bytes(1_000_000) + b"x" + bytes(999_999))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    assert path.stat().st_mtime_ns == status.st_mtime_ns
    assert file_state(path, tells_change) != before
    assert file_state(tmp_path / "none", tells_change) == ()
    os.mkfifo(tmp_path / "pipe")
    assert file_state(tmp_path / "pipe", tells_change)


def test_another_range_is_another_cache(tmp_path):
    _write_deep(tmp_path / "images", [4095, 2000])
    listed = open_images(tmp_path / "images", "unlabelled")
    rows = [
        decode_cached(
            listed, 4, 1, fit="pad", folder=tmp_path / "c", place="disk", ranges=ranges
        )[0]
        for ranges in (None, ValueRanges((0, 4095)), None)
    ]
    assert [row.max() for row in rows] == [16, 255, 16]


@pytest.mark.parametrize(
    "change",
    [
        {"kept": [10**9]},
        {"kept": "all"},
        {"several": [-1]},
        {"digests": []},
        {"beyond": [[0]]},
    ],
)
def test_a_cache_of_other_images_is_made_anew(tmp_path, images, change):
    cache = tmp_path / "cache"
    first, noted = _cached(images, cache, place="disk")
    first = np.array(first)
    (notes,) = cache.glob("*.json")
    content = json.loads(notes.read_text())
    for changed in (json.dumps({**content, **change}), "[" * 100_000):
        notes.write_text(changed)
        rows, decoded = _cached(images, cache, place="disk")
        np.testing.assert_array_equal(rows, first)
        assert decoded == noted
    (held,) = cache.glob("*.npy")
    np.save(held, first[:, :1])
    assert _cached(images, cache, place="disk")[0].shape == first.shape


def test_a_cache_that_is_damaged_is_made_anew(tmp_path, images):
    cache = tmp_path / "cache"
    first, _ = _cached(images, cache, place="disk")
    first = np.array(first)
    (notes,) = cache.glob("*.json")
    (rows,) = cache.glob("*.npy")
    for path, content in (
        (notes, "{}"),
        (notes, "no json"),
        (rows, b"no rows"),
        (rows, rows.read_bytes()[:-100]),
    ):
        if isinstance(content, str):
            path.write_text(content)
        else:
            path.write_bytes(content)
        again, _ = _cached(images, cache, place="disk")
        np.testing.assert_array_equal(again, first)


def test_a_stop_leaves_no_half_of_a_cache(tmp_path, images):
    cache = tmp_path / "cache"

    def stop(done, total):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _cached(images, cache, place="disk", progress=stop)
    assert list(cache.iterdir()) == []
    # Killed: nothing could be tidied up.
    (cache / "images_00.npy.partial").write_text("half")
    _cached(images, cache, place="disk")
    assert sorted(path.suffix for path in cache.iterdir()) == [".json", ".npy"]


def test_two_that_write_one_cache_at_once(tmp_path, images):
    """Neither takes what the other has half written for its own, or removes it."""
    cache = tmp_path / "cache"
    alone, noted = _cached(images, tmp_path / "alone", place="disk")
    others = []

    def meanwhile(done, total):
        if done == 5:
            others.append(_cached(images, cache, place="disk"))
            # Of the same images in another size, in the same folder.
            others.append(_cached(images, cache, size=4, place="disk"))

    rows, decoded = _cached(images, cache, place="disk", progress=meanwhile)
    np.testing.assert_array_equal(rows, alone)
    np.testing.assert_array_equal(others[0][0], alone)
    small, _ = _cached(images, None, size=4, place="memory")
    np.testing.assert_array_equal(others[1][0], small)
    assert decoded == others[0][1] == noted
    kinds = sorted(path.suffix for path in cache.iterdir())
    assert kinds == [".json", ".json", ".npy", ".npy"]


def test_a_disk_without_room(tmp_path, images, monkeypatch):
    def refuse(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    for cache in (tmp_path / "cache", None):
        with pytest.raises(ValueError, match="GB free .No space left on device"):
            _cached(images, cache, place="disk")
    assert list((tmp_path / "cache").iterdir()) == []


def test_memory_decides(tmp_path, images, monkeypatch):
    assert free_memory() > 0
    monkeypatch.setattr(image_cache, "free_memory", lambda: 12 * 6 * 6 * 3 * 2)
    assert not isinstance(_cached(images, None)[0], np.memmap)
    monkeypatch.setattr(image_cache, "free_memory", lambda: 12 * 6 * 6 * 3 * 2 - 2)
    assert isinstance(_cached(images, None)[0], np.memmap)
    with pytest.raises(ValueError, match="`place` must be one of"):
        _cached(images, None, place="cloud")


def test_a_memory_that_is_too_small(tmp_path, images, monkeypatch):
    def refuse(*arguments):
        raise MemoryError

    monkeypatch.setattr(np, "empty", refuse)
    with pytest.raises(ValueError, match="0.00 GB.*keep them on disk"):
        _cached(images, None, place="memory")


def test_no_image_at_all(tmp_path):
    (tmp_path / "a.png").touch()
    with pytest.raises(ValueError, match="none of them, such as .*a.png.*empty"):
        decode_cached(
            open_images(tmp_path, "unlabelled"), 6, 3, fit="pad", max_skipped=1
        )
