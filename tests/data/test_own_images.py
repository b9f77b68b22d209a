"""A person's own images: what becomes of them, and what is said about them."""

import dataclasses
import functools
import ntpath
import os
import sys
import types

import numpy as np
import pytest
from PIL import Image

from semppl_keras import recipes
from semppl_keras.data import (
    FewLabels,
    OwnDataset,
    TableOptions,
    dataset,
    load_own_images,
)
from semppl_keras.data.images import source_names
from semppl_keras.data.images.decoding import TooManyUnreadable
from semppl_keras.data.images.formats import readable_formats
from semppl_keras.data.images.source_names import (
    own_name,
    resolved_source,
    source_path,
)

pytestmark = pytest.mark.any_backend


def _noise(seed, mode="RGB", size=(12, 10)):
    shape = (size[1], size[0], 3)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, "uint8")
    return Image.fromarray(pixels).convert(mode)


def _write(folder, seeds, **options):
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        _noise(seed, **options).save(folder / f"{seed:03}.png")


@pytest.fixture
def folders(tmp_path):
    """Twenty images without labels, five with, four to test on."""
    _write(tmp_path / "many", range(20))
    _write(tmp_path / "few" / "cat", range(100, 103))
    _write(tmp_path / "few" / "dog", range(103, 105))
    _write(tmp_path / "held" / "cat", range(200, 202))
    _write(tmp_path / "held" / "dog", range(202, 204))
    return tmp_path


def _load(folders, *arguments, test="held", **options):
    return load_own_images(
        folders / "many",
        folders / "few",
        None if test is None else folders / test,
        *arguments,
        **options,
    )


def test_what_comes_out(folders):
    data = _load(folders)
    assert isinstance(data, FewLabels)
    assert data.class_names == ("cat", "dog")
    # The longer side of the images.
    assert data.x_train.shape == (25, 12, 12, 3)
    np.testing.assert_array_equal(data.y_labelled, [0, 0, 0, 1, 1])
    assert set(data.y_hidden) == {-1}
    assert len(data.x_unlabelled) == 20
    assert data.x_test.shape == (4, 12, 12, 3)
    np.testing.assert_array_equal(data.y_test, [0, 0, 1, 1])
    assert data.train_names[0] == str(folders / "few" / "cat" / "100.png")
    assert data.train_names[5] == str(folders / "many" / "000.png")
    assert data.test_names[3] == str(folders / "held" / "dog" / "203.png")
    assert (data.remarks, data.skipped, data.name) == ((), (), "many")


def test_rows_are_not_copied(folders):
    data = _load(folders)
    assert np.shares_memory(data.x_unlabelled, data.x_train)
    assert np.shares_memory(data.x_labelled, data.x_train)


def test_without_test_images(folders):
    data = _load(folders, test=None)
    assert data.x_test is None
    assert data.y_test is None
    assert data.enlarged(16).x_test is None


def test_a_table_of_what_lies_among_the_others(folders):
    table = folders / "labels.csv"
    table.write_text("many/003.png,cat\nmany/007.png,dog\nmany/001.png,dog\n")
    data = load_own_images(folders / "many", table)
    assert len(data.x_labelled) == 3
    assert len(data.x_unlabelled) == 17
    assert str(folders / "many" / "003.png") not in data.train_names[3:]
    assert "3 of the unlabelled images are labelled ones" in data.remarks[-1]


def test_what_is_opened_is_not_opened_again(folders):
    own = OwnDataset(folders / "many", folders / "few", folders / "held")
    opened = own.resolved().opened()
    count = opened.num_unlabelled
    assert recipes.for_dataset(opened).epochs == recipes.usual_epochs(count)
    expected = opened.load()
    _write(folders / "many", [700])
    assert opened.load().digest == expected.digest
    assert opened.load().train_names == expected.train_names
    assert own.opened().num_unlabelled == count + 1
    # What a run is of may make other labels of its tables.
    assert opened.knowing(["cat"]).num_unlabelled is None
    # A run that goes on finds the same, in the same order.
    (folders / "many" / "700.png").unlink()
    assert dataset(opened.to_json()).load().digest == expected.digest


def test_grey_and_sizes(folders):
    for path in folders.rglob("*.png"):
        with Image.open(path) as image:
            image.convert("L").save(path)
    data = _load(folders, image_size=16)
    assert data.x_train.shape == (25, 16, 16, 1)
    assert data.x_test.shape == (4, 16, 16, 1)
    _write(folders / "many", [50])
    assert _load(folders).x_train.shape[-1] == 3
    own = OwnDataset(folders / "many", folders / "few")
    opened = own.opened()
    assert (opened.image_size, opened.num_unlabelled) == (12, 21)
    cropped = OwnDataset(folders / "many", folders / "few", fit="crop")
    assert cropped.opened().image_size == 10
    _write(folders / "few" / "cat", range(300, 310), size=(400, 300))
    assert own.opened().image_size == 96


def test_fewer_labels_than_there_are(folders):
    data = _load(folders, 1, 3)
    np.testing.assert_array_equal(np.bincount(data.y_labelled), [1, 1])
    # The others measure the pseudo-labels.
    assert np.sum(data.y_hidden >= 0) == 3
    with pytest.raises(ValueError, match="at most 2 label"):
        _load(folders, 3)


def test_order_of_classes(folders):
    table = folders / "labels.csv"
    table.write_text("many/003.png,10\nmany/007.png,9\nmany/001.png,2\n")
    assert load_own_images(folders / "many", table).class_names == ("2", "9", "10")


def test_the_digest_tells_other_images(folders):
    first = _load(folders).digest
    assert _load(folders).digest == first
    (folders / "many" / "004.png").unlink()
    assert _load(folders).digest != first


@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_caches_hold_the_same(folders, cache):
    data = _load(folders, cache=cache, cache_folder=folders / "cache")
    again = _load(folders, cache=cache, cache_folder=folders / "cache")
    np.testing.assert_array_equal(data.x_train, again.x_train)
    np.testing.assert_array_equal(data.x_test, again.x_test)
    assert (data.digest, data.train_names) == (again.digest, again.train_names)


def test_progress(folders):
    steps = []
    _load(folders, progress=lambda *step: steps.append(step))
    assert steps[24] == ("images to train on", 25, 25)
    assert steps[-1] == ("images to test on", 4, 4)


# -- what is said -----------------------------------------------------------------


def _remarks(folders, **options):
    return "\n".join(_load(folders, **options).remarks)


def test_skipped_images_are_named(folders):
    (folders / "many" / "003.png").write_text("none")
    data = _load(folders)
    ((name, reason),) = data.skipped
    assert name == str(folders / "many" / "003.png")
    assert reason.startswith("it is none of BMP, GIF, JPEG, PNG, TIFF, WEBP")
    assert data.remarks == ("1 of 29 images cannot be read.",)
    assert len(data.x_unlabelled) == 19
    with pytest.raises(ValueError, match=r"At most 3% .*003.png"):
        _load(folders, max_skipped=0.03)
    # In whichever list there are too many, all are named.
    (folders / "held" / "cat" / "200.png").write_text("none")
    for share in (0, 0.03, 0.1):
        with pytest.raises(TooManyUnreadable, match=r"At most .* may be") as error:
            _load(folders, max_skipped=share)
        names = [entry.name for entry in error.value.skipped]
        assert [name[-7:] for name in names] == ["003.png", "200.png"]


@pytest.fixture
def without_heif(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    readable_formats.cache_clear()
    yield
    readable_formats.cache_clear()


def test_a_folder_of_an_iphone_is_told_in_one_error(folders, without_heif):
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
    (folders / "many" / "IMG_0001.HEIC").write_bytes(heic)
    data = _load(folders)
    assert data.remarks == ("1 of 30 images cannot be read.",)
    assert 'pip install "semppl_keras[heif]"' in data.skipped[0].reason

    def replace(pattern):
        for path in folders.glob(pattern):
            path.write_bytes(heic)
            path.rename(path.with_suffix(".HEIC"))

    # The labelled ones alone, and all.
    replace("few/*/*.png")
    with pytest.raises(
        ValueError, match="none of 'cat', 'dog'.*pip install \"semppl_keras"
    ):
        _load(folders, max_skipped=0.9)
    replace("many/*.png")
    with pytest.raises(ValueError, match="At most 5% of 26 images") as error:
        _load(folders)
    told = str(error.value)
    assert told.count("it is a HEIC image") == 1
    assert "Received: 26, such as" in told
    assert "100.HEIC', '" in told


def test_a_format_that_can_be_read_since_is_read(folders, without_heif, monkeypatch):
    (folders / "many" / "IMG.heic").write_bytes(b"\0\0\0\x14ftypheic\0\0\0\0heic")
    options = {"cache": "disk", "cache_folder": folders / "cache"}
    assert len(_load(folders, **options).skipped) == 1

    def opened(file, name):
        return _noise(7)

    monkeypatch.setitem(Image.OPEN, "HEIF", (opened, lambda head: b"heic" in head))
    package = types.SimpleNamespace(register_heif_opener=lambda: None)
    monkeypatch.setitem(sys.modules, "pillow_heif", package)
    readable_formats.cache_clear()
    assert _load(folders, **options).skipped == ()


def test_runs_among_the_images_are_told(folders):
    _write(folders / "many" / "runs" / "first", range(500, 503))
    (folders / "many" / "runs" / "first" / "run.json").write_text("{}")
    assert len(_load(folders).x_unlabelled) == 23
    (folders / "many" / "runs" / "first" / "logs").mkdir()
    data = _load(folders)
    assert len(data.x_unlabelled) == 20
    (remark,) = data.remarks
    assert "written are passed over in" in remark
    assert f": 1, such as '{folders}/many/runs/first'." in remark


def test_files_that_are_no_images_are_told(folders):
    (folders / "many" / "a.dcm").touch()
    (folders / "many" / "b").write_text("no image")
    _noise(57, "L").save(folders / "many" / "c.pgm")
    _noise(58).save(folders / "many" / "without_an_ending", "PNG")
    (folders / "few" / "ox").mkdir()
    (folders / "few" / "ox" / "a.psd").touch()
    _noise(9).save(folders / "few" / "loose.png")
    data = _load(folders)
    assert len(data.x_unlabelled) == 22
    assert data.class_names == ("cat", "dog")
    told = "\n".join(data.remarks)
    for part in (
        f"2 files in '{folders}/many' are not read",
        ": 1 .dcm, 1 without an ending.",
        f"1 files in '{folders}/few' are not read",
        "without an image that is read are no classes: 'ox' (1 .psd).",
        f"1 images in '{folders}/few' lie in the folder of no class",
    ):
        assert part in told
    with pytest.raises(ValueError, match=r"Received: none. 1 files in .*: 1 .psd\."):
        load_own_images(folders / "few" / "ox", folders / "few")


def _deepen(folders, most=4095):
    """Makes the images grey, of values up to the largest, in files of 16 bits."""
    for path in folders.rglob("*.png"):
        values = np.asarray(Image.open(path).convert("L")) / 255 * most
        Image.fromarray(np.rint(values).astype("uint16")).save(path)


def test_deep_images_are_read_by_the_range_of_all(folders):
    load = functools.partial(_load, fit="crop")
    for path in folders.rglob("*.png"):
        Image.open(path).convert("L").save(path)
    shallow = load(folders)
    _deepen(folders)
    data = load(folders)
    np.testing.assert_array_equal(data.x_train, shallow.x_train)
    np.testing.assert_array_equal(data.x_test, shallow.x_test)
    assert data.value_ranges == ((0, 4095), None)
    assert "29 of 29 images hold integers of more than 8 bits" in data.remarks[0]
    # The test images count, too.
    values = np.full((10, 12), 5000, "uint16")
    Image.fromarray(values).save(folders / "held" / "cat" / "200.png")
    data = load(folders)
    assert data.value_ranges == ((0, 16383), None)
    assert data.x_test[0].max() == 78
    # As given, where what lies beyond is told.
    data = load(folders, value_range=(0, 4095))
    np.testing.assert_array_equal(data.x_train, shallow.x_train)
    assert data.remarks == (
        "1 of 4 test images hold values beyond the range that is taken for theirs: "
        "these become black or white. --value-range (value_range) says another range.",
    )
    data = load(folders, value_range="each")
    assert data.value_ranges is None
    assert data.x_train.max() == 16
    with pytest.raises(ValueError, match="the lower first. Received: .5, 5."):
        load(folders, value_range=(5, 5))


def test_images_without_a_label_in_a_table(folders):
    rows = [f"many/{number:03}.png,{'cat' * (number < 3)}" for number in range(10)]
    table = folders / "labels.csv"
    rows += ["many/010.png,dog", "many/011.png,-1"]
    table.write_text("\n".join(["filename,species", *rows]))
    data = load_own_images(folders / "many", table)
    assert len(data.x_labelled) == 4
    assert len(data.x_unlabelled) == 16
    told = f"8 of 12 images in '{table}' have no label, and are left out of the"
    assert told in data.remarks[0]


def test_leakage(folders):
    # As another file type: the pixels count.
    _noise(100).save(folders / "held" / "cat" / "copy.tif")
    remarks = _remarks(folders)
    assert "Leakage: 1 of 5 test images are among the labelled ones" in remarks
    assert "copy.tif" in remarks
    _noise(3).save(folders / "held" / "dog" / "seen.bmp")
    assert "Leakage: 1 of 6 test images are among the unlabelled" in _remarks(folders)


def test_one_label(folders):
    (folders / "few" / "dog" / "103.png").unlink()
    assert "One labelled image alone of 'dog'" in _remarks(folders)


def test_imbalance(folders):
    _write(folders / "few" / "cat", range(300, 320))
    remarks = _remarks(folders)
    assert "23 of 'cat', 2 of 'dog'" in remarks
    assert "label more of the rarest first" in remarks


def test_spellings_and_two_labels(folders):
    _write(folders / "few" / "Cat ", range(300, 302))
    _write(folders / "few" / "dog", [100])
    remarks = _remarks(folders)
    assert "different classes: 'Cat', 'cat' (2, 3 images)" in remarks
    assert "One image has two labels" in remarks


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("sea lion", "Sea_lion", True),
        ("sea lion", "sea-lion", True),
        ("cat", "cat\u200b", True),
        ("7", "007", True),
        ("CD4+", "CD4-", False),
        ("1.5", "1.05", False),
        ("sealion", "sea lion", False),
    ],
)
def test_labels_that_look_alike_are_told(folders, one, other, alike):
    _write(folders / "few" / one, range(300, 302))
    _write(folders / "few" / other, range(302, 304))
    assert ("differ in spelling alone" in _remarks(folders)) == alike


def test_folders_of_images_without_a_label(folders):
    # By hand nobody writes these two alike.
    _write(folders / "few" / "Unlabelled", range(300, 304))
    _write(folders / "few" / "none", range(310, 312))
    data = _load(folders)
    assert data.class_names == ("cat", "dog", "none")
    told = "\n".join(data.remarks)
    assert "4 of 11 images in" in told
    assert "stand for none: 4 'Unlabelled'" in told
    assert "Taken for classes: 'none' (2 images)" in told
    # What is a class of the labelled images is one of those to test on.
    table = folders / "held.csv"
    table.write_text("held/cat/200.png,none\nheld/dog/202.png,nan\n")
    data = _load(folders, test="held.csv")
    np.testing.assert_array_equal(data.y_test, [2])


def test_labels_of_archives_that_are_missing(folders):
    images = np.stack([np.asarray(_noise(seed)) for seed in range(400, 406)])
    source = folders / "few.npz"
    for labels, names in (
        ([0, 1, np.nan, -1, 1, np.nan], None),
        (["0", "1.0", "nan", "-1.0", "1", "N/A"], None),
        ([0, 1, -1, -1, 1, -1], ["nan", "none"]),
    ):
        arrays = {"images": images, "labels": np.array(labels)}
        if names:
            arrays["class_names"] = names
        np.savez(source, **arrays)
        data = load_own_images(folders / "many", f"npz:{source}")
        assert data.class_names == tuple(names or ("0", "1"))
        np.testing.assert_array_equal(data.y_labelled, [0, 1, 1])
        assert "3 of 6 images in" in data.remarks[0]
    np.savez(source, images=images, labels=[0, 0.5, np.nan, 1, 1, 1])
    with pytest.raises(ValueError, match="must be integers"):
        load_own_images(folders / "many", f"npz:{source}")


def test_options_of_tables(folders):
    rows = [
        f"{number:03}.png,{number % 3},{'none' if number % 2 else 'some'},"
        f"{'test' if number > 9 else 'train'}"
        for number in range(14)
    ]
    table = folders / "labels.csv"
    table.write_text("\n".join(["file,target,label,split", *rows]))
    with pytest.raises(ValueError, match="'target' and 'label'"):
        load_own_images(folders / "many", table)
    with pytest.raises(ValueError, match="'target' and 'label'"):
        OwnDataset(folders / "many", table).opened()
    options = TableOptions(label_column="label", keep_labels=("none",))
    # One table, its rows to train on and those to test on.
    data = load_own_images(folders / "many", table, table, tables=options)
    assert data.class_names == ("none", "some")
    assert (len(data.y_labelled), len(data.y_test)) == (10, 4)
    told = "\n".join(data.remarks)
    assert "10 paths, such as '000.png', are not relative to it but to" in told
    assert "4 of 14 rows" in told
    assert "left out of the labelled ones by the column(s) 'split': 4 test" in told
    assert "left out of the test ones by the column(s) 'split': 10 train" in told
    assert "Leakage: 4 of 4 test images are among the unlabelled" in told


def test_a_class_of_the_test_images_that_is_spelled_otherwise(folders):
    (folders / "held" / "dog").rename(folders / "held" / "Dog")
    remarks = _remarks(folders)
    assert "no labelled image is one of 'Dog'. Spell 'Dog' as the" in remarks
    assert "as the labelled ones: 'dog'." in remarks


def test_drives(folders, monkeypatch):
    # Here they are names like others.
    monkeypatch.chdir(folders)
    images = np.stack([np.asarray(_noise(seed)) for seed in range(4)])
    np.savez("C:\\few.npz", images=images, labels=["a", "b", "a", "b"])
    (folders / "many").rename("C:\\many")
    data = load_own_images("C:\\many", "npz:C:\\few.npz")
    assert len(data.x_labelled) == 4
    assert source_path("npz:C:\\few.npz") == "C:\\few.npz"
    assert source_path("C:\\many") == "C:\\many"
    assert source_path("tfds:mnist#train") is None

    class Windows:
        path = ntpath

        def __getattr__(self, name):
            return getattr(os, name)

    monkeypatch.setattr(source_names, "os", Windows())
    for source in (r"C:\photos", r"npz:C:\a\b.npz", r"tfrecord:D:\a\*.tfrecord"):
        assert resolved_source(source) == source
    assert resolved_source("tfds:mnist:3.0.1#train") == "tfds:mnist:3.0.1#train"
    assert own_name(r"npz:C:\a\b.npz") == "b.npz"
    assert own_name(r"C:\photos") == "photos"


def test_classes_of_the_test_images(folders):
    _write(folders / "held" / "owl", range(300, 302))
    data = _load(folders)
    assert len(data.x_test) == len(data.y_test) == len(data.test_names) == 4
    assert "2 test images are left out: no labelled image is one of 'owl'" in str(
        data.remarks
    )
    for path in (folders / "held" / "dog").iterdir():
        path.unlink()
    assert "There is no test image of 'dog'" in _remarks(folders)
    (folders / "held" / "cat").rename(folders / "held" / "rat")
    with pytest.raises(ValueError, match="'cat', 'dog'. Received: 'owl', 'rat'"):
        _load(folders)


def test_a_class_that_cannot_be_read(folders):
    for path in (folders / "few" / "dog").iterdir():
        path.write_bytes(b"")
    with pytest.raises(ValueError, match="none of 'dog'.*103.png"):
        _load(folders, max_skipped=0.5)


def test_one_class(folders):
    (folders / "few" / "dog").rename(folders / "dog")
    with pytest.raises(ValueError, match="3 images, all labelled 'cat'"):
        _load(folders)


@pytest.mark.parametrize("cache", ["memory", "none"])
def test_only_labelled_images(folders, cache):
    """Which are enough for a classifier; and some of the labels for a training."""
    few = folders / "few"
    data = load_own_images(few, few, cache=cache)
    assert (len(data.x_labelled), len(data.x_unlabelled)) == (5, 0)
    assert data.y_hidden.shape == (0,)
    if cache == "memory":
        assert "5 of the unlabelled images are labelled ones, too" in data.remarks[0]
    fewer = load_own_images(few, few, labels_per_class=1, cache=cache)
    np.testing.assert_array_equal(fewer.y_labelled, [0, 1])
    np.testing.assert_array_equal(fewer.y_hidden, [0, 0, 1])
    assert len(fewer.x_unlabelled) == 3
    with pytest.raises(ValueError, match="Ask for at most 2 label"):
        load_own_images(few, few, labels_per_class=3, cache=cache)


@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_copies_among_the_unlabelled_count_once(folders, cache):
    options = {"cache": cache, "cache_folder": folders / "cache"}
    plain = _load(folders)
    for name, seed in (("u", 3), ("v", 3), ("w", 8), ("x", 100), ("y", 100)):
        _noise(seed).save(folders / "many" / f"{name}.bmp")
    for _ in range(2):
        data = _load(folders, **options)
        np.testing.assert_array_equal(data.x_train, plain.x_train)
        assert data.digest == plain.digest
        # One of the labelled ones is there twice.
        labelled, others = data.remarks
        assert "2 of the unlabelled images are labelled ones, too" in labelled
        assert "3 of the unlabelled images are copies of others" in others
        assert "u.bmp'" in others


def test_a_folder_of_the_same_image_again_and_again(folders):
    for path in (folders / "many").iterdir():
        _noise(0).save(path)
    data = _load(folders)
    assert len(data.x_unlabelled) == 1
    assert "19 of the unlabelled images are copies of others" in data.remarks[0]
    # And where it is a labelled one nothing is left.
    _noise(0).save(folders / "few" / "cat" / "it.png")
    data = _load(folders)
    assert len(data.x_unlabelled) == 0
    assert "20 of the unlabelled images are labelled ones, too" in data.remarks[0]


def test_names():
    assert own_name("a/b/photos") == "photos"
    assert own_name("tfds:cifar10:3.0.2#train") == "cifar10:3.0.2"
    assert own_name("npz:/a/none.npz") == "none.npz"
    # A run's own table, which is in its folder or was.
    assert own_name("runs/flowers_2/unlabelled.csv") == "flowers_2"


# -- the recipe -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "backbone", "made", "stem"),
    [
        (28, None, "SmallResNet", None),
        (64, None, "SmallResNet", None),
        (96, None, "ResNet18", "imagenet"),
        (64, "resnet18", "ResNet18", "small"),
        (224, "resnet50", "ResNet50", "imagenet"),
        (96, "small", "SmallResNet", None),
        (28, "conv", "ConvNet", None),
    ],
)
def test_the_recipe_goes_with_the_size(size, backbone, made, stem):
    recipe = recipes.own_images(size, backbone, epochs=7)
    assert recipe.epochs == 7
    assert recipe.backbone[0] == made
    assert recipe.backbone[1].get("stem") == stem
    views = recipe.make_views()
    assert views.large_size == size
    assert recipe.make_views(num_large=1).num_large == 1
    assert recipe.to_dict()["image_size"] == size


def test_the_recipe_makes_a_model():
    recipe = dataclasses.replace(
        recipes.own_images(20, epochs=1), backbone=("SmallResNet", {"widths": (4,)})
    )
    model = recipe.make_model(3, 2, steps_per_epoch=3)
    assert model.views.large_size == 20
    assert (model.memory_size, model.neighbours) == (640, 10)
    # Each of many classes can have the majority of the neighbours, without a warning.
    model = recipe.make_model(3, 200, steps_per_epoch=3)
    assert model.memory_size == 200 * 6
    with pytest.raises(ValueError, match="must be one of small, conv, resnet18"):
        recipes.own_images(20, "vgg")


def test_epochs_go_with_the_number_of_images():
    assert recipes.usual_epochs(20_000) == 10
    assert recipes.usual_epochs(100) == 200
    assert recipes.usual_epochs(10_000_000) == 1
