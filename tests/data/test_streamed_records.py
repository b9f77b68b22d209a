"""Records of TFRecords and of TensorFlow Datasets, each read alone."""

import numpy as np
import pytest
from tiny_imagenet import WORDNET_IDS, store_tiny_imagenet

from semppl_keras.data import load_own_images
from semppl_keras.data.images.record_index import NotRecords, find_records
from semppl_keras.data.images.record_sources import listed_rows
from semppl_keras.data.images.sources import open_images

# Importing TensorFlow Datasets and its protocol buffers warns of what is to come.
pytestmark = [pytest.mark.any_backend, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module", params=["tfrecord", "array_record"])
def imagenet(request, tmp_path_factory):
    """The names of the files of a stand-in, its folder, and `tfds` that finds it."""
    tfds = pytest.importorskip("tensorflow_datasets")
    pytest.importorskip("tensorflow")
    if request.param == "array_record":
        pytest.importorskip("array_record")
    folder = tmp_path_factory.mktemp("tfds")
    names = store_tiny_imagenet(folder, request.param)
    builder = tfds.builder
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tfds, "builder", lambda name, **_: builder(name, data_dir=folder))
        yield names, folder


def test_examples_are_read_alone_and_in_the_order_of_their_files(imagenet):
    images = open_images("tfds:imagenet2012#train", "labelled")
    contents = list(images.contents())
    assert len(images) == len(contents) == 60
    assert all(images.at(index) == contents[index] for index in (59, 0, 17))
    assert set(images.labels) == set(WORDNET_IDS)
    part = open_images("tfds:imagenet2012#train[10:20]", "unlabelled")
    assert part.labels is None
    assert list(part.contents()) == contents[10:20]
    assert part.at(3) == contents[13]


def test_a_list_of_files_says_which_are_labelled(imagenet):
    names, folder = imagenet
    listed = folder / "10percent.txt"
    # With the folder of their class, as some lists have them.
    lines = [f"train/{name[:9]}/{name}" for name in names[9:15]]
    listed.write_text("\n".join([*lines, ""]), encoding="utf-8")
    few = open_images(f"tfds:imagenet2012#train@{listed}", "labelled")
    assert sorted(few.labels) == sorted(name[:9] for name in names[9:15])
    many = open_images("tfds:imagenet2012", "unlabelled")
    # Of the same image the same.
    assert set(few.names) < set(many.names)
    assert few.at(4) == many.at(many.names.index(few.names[4]))

    data = load_own_images(
        "tfds:imagenet2012#train",
        f"tfds:imagenet2012#train@{listed}",
        "tfds:imagenet2012#validation",
        image_size=8,
        fit="crop",
        cache="none",
    )
    assert data.class_names == WORDNET_IDS
    assert (len(data.x_labelled), len(data.x_unlabelled), len(data.x_test)) == (
        6,
        54,
        9,
    )
    # The channel that is bright is that of the class.
    brightest = data.x_labelled[:].mean((1, 2)).argmax(1)
    np.testing.assert_array_equal(brightest, data.y_labelled)

    listed.write_text("n01440764_0.JPEG\nelsewhere.JPEG\n", encoding="utf-8")
    with pytest.raises(ValueError, match="2 names, 1 of which.*'elsewhere.JPEG'"):
        open_images(f"tfds:imagenet2012#train@{listed}", "labelled")


def test_an_empty_list_is_none(tmp_path):
    (tmp_path / "list.txt").write_text("\n", encoding="utf-8")
    with pytest.raises(ValueError, match="must name images of 'tfds:x'.*0 names"):
        listed_rows(str(tmp_path / "list.txt"), ["a"], "tfds:x")


def _of_bytes(tf, value):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def _write_array_records(path, records):
    module = pytest.importorskip("array_record.python.array_record_module")
    writer = module.ArrayRecordWriter(str(path), "group_size:1")
    for record in records:
        writer.write(record)
    writer.close()


def _write_tfrecords(path, records):
    tf = pytest.importorskip("tensorflow")
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)


WRITERS = {"tfrecord": _write_tfrecords, "arrayrecord": _write_array_records}


@pytest.mark.parametrize("kind", WRITERS)
def test_examples_of_plain_files_are_read_alone(kind, tmp_path):
    tf = pytest.importorskip("tensorflow")
    for file, count in (("a", 3), ("b", 2)):
        examples = []
        for index in range(count):
            feature = {
                "image/encoded": _of_bytes(tf, f"{file}{index}".encode()),
                "image/class/text": _of_bytes(tf, b"cat" if index else b"dog"),
            }
            features = tf.train.Features(feature=feature)
            examples.append(tf.train.Example(features=features).SerializeToString())
        WRITERS[kind](tmp_path / f"{file}.{kind}", examples)
    images = open_images(f"{kind}:{tmp_path}/*.{kind}", "unlabelled")
    assert images.names[3] == f"{kind}:{tmp_path}/b.{kind}[0]"
    assert images.labels is None
    contents = list(images.contents())
    assert contents == [b"a0", b"a1", b"a2", b"b0", b"b1"]
    assert [images.at(index) for index in (4, 0, 3, 2)] == [b"b1", b"a0", b"b0", b"a2"]
    labelled = open_images(f"{kind}:{tmp_path}/*.{kind}", "labelled")
    assert labelled.labels == ("dog", "cat", "cat", "dog", "cat")
    assert labelled.at(1) == b"a1"

    WRITERS[kind](tmp_path / f"n.{kind}", [b"this is no example"])
    (tmp_path / f"x.{kind}").write_bytes(b"this is no record at all")
    for name in ("n", "x"):
        for role in ("labelled", "unlabelled"):
            with pytest.raises(ValueError, match="cannot be read"):
                open_images(f"{kind}:{tmp_path}/{name}.{kind}", role)
    with pytest.raises(FileNotFoundError, match="Record files at"):
        open_images(f"{kind}:{tmp_path}/none*", "unlabelled")


def _damage(path, start, stop):
    content = bytearray(path.read_bytes())
    content[start:stop] = bytes(255 - byte for byte in content[start:stop])
    path.write_bytes(content)


def test_a_damaged_array_record_harms_no_other(tmp_path):
    tf = pytest.importorskip("tensorflow")
    examples = []
    for index in range(6):
        # So large that not all of them are in one block of the file.
        image = np.random.default_rng(index).bytes(30_000)
        feature = {"image/encoded": _of_bytes(tf, image)}
        features = tf.train.Features(feature=feature)
        examples.append(tf.train.Example(features=features).SerializeToString())
    path = tmp_path / "a.arrayrecord"
    _write_array_records(path, examples)
    whole = list(open_images(f"arrayrecord:{path}", "unlabelled").contents())
    _damage(path, 100_000, 100_100)
    images = open_images(f"arrayrecord:{path}", "unlabelled")
    contents = list(images.contents())
    assert len(contents) == 6
    # Empty is no image: what reads them leaves it out, and tells.
    assert 0 < contents.count(b"") < 6
    assert all(
        content in (b"", kept) for content, kept in zip(contents, whole, strict=True)
    )
    assert [images.at(index) for index in range(6)] == contents


def test_damaged_records_of_a_data_set_are_told(tmp_path, monkeypatch):
    tfds = pytest.importorskip("tensorflow_datasets")
    pytest.importorskip("tensorflow")
    pytest.importorskip("array_record")
    store_tiny_imagenet(tmp_path, "array_record")
    (path,) = tmp_path.rglob("*train*.array_record*")
    stored = tfds.builder_from_directory(path.parent)
    monkeypatch.setattr(tfds, "builder", lambda name, **_: stored)
    # In the middle of what is not padding.
    middle = int(np.median(np.flatnonzero(np.frombuffer(path.read_bytes(), "uint8"))))
    _damage(path, middle, middle + 100)
    images = open_images("tfds:imagenet2012#train", "unlabelled")
    contents = list(images.contents())
    assert 0 < contents.count(b"") < 60
    with pytest.raises(ValueError, match="'imagenet2012' must be whole"):
        open_images("tfds:imagenet2012#train", "labelled")


def test_array_records_that_are_cut_off_are_refused(tmp_path):
    pytest.importorskip("tensorflow")
    _write_array_records(tmp_path / "a.arrayrecord", [b"x"] * 3)
    whole = (tmp_path / "a.arrayrecord").read_bytes()
    for content in (b"", whole[:70_000], whole[:30_000]):
        (tmp_path / "a.arrayrecord").write_bytes(content)
        with pytest.raises(ValueError, match="cannot be read"):
            open_images(f"arrayrecord:{tmp_path}/a.arrayrecord", "unlabelled")


def test_records_of_tfrecords_are_found(tmp_path):
    file = tmp_path / "a.tfrecord"
    _write_tfrecords(file, [b"a0", b"a1", b"a2"])
    places = find_records((str(file),) * 2, [(1, 1), (2, None)])
    assert len(places) == len(places.places) == 2
    whole = file.read_bytes()
    file.write_bytes(whole[:-3])
    with pytest.raises(NotRecords, match="record 2 goes beyond the end"):
        find_records((str(file),))
    file.write_bytes(b"")
    assert len(find_records((str(file),)).places) == 0
