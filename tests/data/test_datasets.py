"""Loading: what comes out, and what a wrong file is told."""

import builtins
import dataclasses

import numpy as np
import pytest
from PIL import Image

from semppl_keras import recipes
from semppl_keras.data import (
    FewLabels,
    NamedDataset,
    OwnDataset,
    choose_labelled,
    dataset,
    dataset_name,
    load,
    load_digits,
    load_folder,
    load_npz,
    load_test,
    load_tfds,
)

pytestmark = pytest.mark.any_backend


def _arrays(**changes):
    generator = np.random.default_rng(0)
    arrays = {
        "x_train": generator.integers(0, 256, (30, 6, 5), "uint8"),
        "y_train": np.arange(30) % 3,
        "x_test": generator.integers(0, 256, (6, 6, 5), "uint8"),
        "y_test": np.arange(6) % 3,
    }
    arrays.update(changes)
    return {name: value for name, value in arrays.items() if value is not None}


@pytest.fixture
def write(tmp_path):
    def write(**changes):
        path = tmp_path / "few.npz"
        np.savez(path, **_arrays(**changes))
        return path

    return write


def test_digits_are_split_and_scaled_without_loss():
    data = load_digits(labels_per_class=10, seed=0)
    assert data.x_train.shape == (1397, 8, 8, 1)
    assert data.x_test.shape == (400, 8, 8, 1)
    assert data.x_train.dtype == "float32"
    assert data.x_train.max() == 255
    levels = data.x_train * 16 / 255
    np.testing.assert_array_equal(levels, np.round(levels))
    np.testing.assert_array_equal(np.bincount(data.y_labelled), [10] * 10)
    assert len(data.x_unlabelled) == len(data.y_hidden) == 1297
    together = np.union1d(data.labelled_indices, data.unlabelled_indices)
    np.testing.assert_array_equal(together, np.arange(1397))


def test_digits_train_and_test_images_are_all_of_them():
    from sklearn.datasets import load_digits as load_sklearn_digits

    data = load_digits()
    ours = np.concatenate([data.x_train, data.x_test]).reshape(1797, -1)
    theirs = load_sklearn_digits().data * (255 / 16)
    np.testing.assert_array_equal(
        np.sort(ours.sum(axis=1)), np.sort(theirs.sum(axis=1))
    )


def test_the_seed_chooses_split_and_labels():
    first, again, other = load_digits(seed=1), load_digits(seed=1), load_digits(seed=2)
    np.testing.assert_array_equal(first.labelled_indices, again.labelled_indices)
    np.testing.assert_array_equal(first.x_test, again.x_test)
    assert not np.array_equal(first.y_test, other.y_test)


def test_fewer_labels_are_among_more():
    few, many = load_digits(2).labelled_indices, load_digits(5).labelled_indices
    assert np.isin(few, many).all()


def test_every_known_label():
    labels = np.array([0, -1, 1, 1, -1, 0])
    np.testing.assert_array_equal(choose_labelled(labels, None, 2), [0, 2, 3, 5])


@pytest.mark.parametrize(
    ("labels_per_class", "message"),
    [
        (0, "at least 1. Received: labels_per_class=0"),
        (2.5, "must be an integer.*labels_per_class=2.5"),
        (True, "must be an integer"),
        (3, "Received: 2 for class 1 .1 of 2 classes .* at most 2"),
    ],
)
def test_labels_that_cannot_be_chosen(labels_per_class, message):
    labels = np.array([0, 0, 0, 1, 1, -1])
    with pytest.raises(ValueError, match=message):
        choose_labelled(labels, labels_per_class, 2)


def test_labels_with_a_gap():
    with pytest.raises(ValueError, match=r"0 for class 1 .* without gaps"):
        choose_labelled(np.array([0, 0, 2, 2]), 1, 3)


def _archive(path, labels, **arrays):
    images = np.full((len(labels), 4, 4), 200, "uint8")
    np.savez(
        path, x_train=images, y_train=labels, x_test=images, y_test=labels, **arrays
    )
    return path


@pytest.mark.parametrize("label", [4, 10**6, 2**32 + 1, 10**15])
def test_a_label_makes_no_more_classes_than_images(tmp_path, label):
    path = _archive(tmp_path / "a.npz", np.array([0, 1, label, label]))
    with pytest.raises(ValueError, match="without gaps"):
        load_npz(path, 1)


@pytest.mark.parametrize("names", [["a", "a", "b"], ["a", "b", ""]])
def test_names_of_classes_are_different_texts(tmp_path, names):
    path = _archive(tmp_path / "a.npz", np.arange(9) % 3, class_names=np.array(names))
    with pytest.raises(ValueError, match="`class_names` must be different texts"):
        load_npz(path, 1)


def test_enlarged_keeps_range_and_proportions():
    data = load_digits(1)
    large = data.enlarged(16)
    assert large.x_train.shape == (1397, 16, 16, 1)
    assert large.x_test.min() >= 0
    assert large.x_test.max() <= 255
    # Two by two neighbours average to about the pixel that they come from.
    pooled = large.x_test.reshape(400, 8, 2, 8, 2, 1).mean(axis=(2, 4))
    assert np.corrcoef(pooled.ravel(), data.x_test.ravel())[0, 1] > 0.95
    assert data.enlarged(8) is data


@pytest.mark.parametrize("channels", [(), (1,), (3,)])
def test_npz(write, channels):
    images = np.random.default_rng(0).uniform(0, 255, (30, 6, 5, *channels))
    path = write(x_train=images, x_test=images[:6])
    data = load_npz(path, labels_per_class=2, seed=3)
    assert data.x_train.shape == (30, 6, 5, *(channels or (1,)))
    assert data.x_train.dtype == "float32"
    assert data.y_train.dtype == "int32"
    assert data.name == "few"
    assert data.num_classes == 3
    assert data.class_names == ("0", "1", "2")
    np.testing.assert_array_equal(np.bincount(data.y_labelled), [2, 2, 2])
    np.testing.assert_array_equal(
        load(f"npz:{path}", 2, 3).labelled_indices, data.labelled_indices
    )


def test_npz_of_drawings_and_dark_images(write):
    drawings = np.eye(6, 5, dtype="uint8")[None].repeat(30, 0) * 255
    dark = np.concatenate([drawings[:29] // 255, drawings[29:]])
    for images in (drawings, dark, drawings * 0):
        data = load_npz(write(x_train=images), labels_per_class=1)
        np.testing.assert_array_equal(data.x_train[..., 0], images)


def test_npz_with_unknown_labels_and_names(write):
    labels = np.where(np.arange(30) < 12, np.arange(30) % 3, -1)
    for dtype in ("U", "S"):
        names = np.array(["cat", "dog", "owl"], dtype)
        data = load_npz(write(y_train=labels, class_names=names), labels_per_class=None)
        assert data.class_names == ("cat", "dog", "owl")
    np.testing.assert_array_equal(data.labelled_indices, np.arange(12))
    assert set(data.y_hidden) == {-1}


def test_npz_takes_labels_in_a_column(write):
    data = load_npz(write(y_train=np.arange(30)[:, None] % 3), labels_per_class=1)
    assert data.y_train.shape == (30,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_test": None}, "missing: y_test"),
        ({"x_train": np.zeros((30, 6), "uint8")}, r"`x_train`.*\(30, 6\)"),
        ({"x_train": np.zeros((30, 1, 6, 5), "uint8")}, "channels last"),
        ({"x_train": np.zeros((0, 6, 5), "uint8")}, "at least one image"),
        ({"x_train": np.full((30, 6, 5), np.nan)}, r"`x_train` must lie in \[0, 255\]"),
        ({"x_train": np.full((30, 6, 5), -3)}, "from -3 to -3"),
        ({"x_train": np.full((30, 6, 5), 0.5)}, "multiply by 255"),
        ({"x_train": np.eye(6, 5, dtype="uint8")[None].repeat(30, 0)}, "by 255"),
        ({"x_test": np.eye(6, 5, dtype="int64")[None].repeat(6, 0)}, "by 255"),
        ({"x_train": np.full((30, 6, 5), "a")}, "integers or floats"),
        ({"x_test": np.zeros((6, 9, 9), "uint8")}, "same height, width"),
        ({"x_test": np.zeros((5, 6, 5), "uint8")}, "5 images and 6 labels"),
        ({"y_train": np.arange(29) % 3}, "30 images and 29 labels"),
        ({"y_train": np.arange(30) % 3 + 0.0}, r"`y_train`.*astype\('int32'\)"),
        ({"y_train": np.eye(3)[np.arange(30) % 3]}, "One-hot labels become"),
        ({"y_train": np.array(["a", "b", "c"] * 10)}, "return_inverse"),
        ({"y_train": np.arange(30) % 4 - 2}, "labels from -2"),
        ({"y_train": np.zeros(30, int)}, "at least two classes"),
        ({"y_test": np.full(6, 3)}, r"`y_test` must lie in \[0, 3\)"),
        ({"y_test": np.full(6, -1)}, "labels from -1"),
        ({"class_names": np.array(["a", "b"])}, r"\[0, 2\)"),
        ({"y_train": np.array([None] * 30)}, "plain numbers"),
    ],
)
def test_npz_with_wrong_arrays(write, changes, message):
    with pytest.raises(ValueError, match=message):
        load_npz(write(**changes), labels_per_class=1)


def test_npz_with_too_few_images_of_a_class(write):
    with pytest.raises(ValueError, match=r"at least 11.*at most 10"):
        load_npz(write(), labels_per_class=11)


def test_npz_without_a_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.npz.*nothing is"):
        load_npz(tmp_path / "absent.npz")
    with pytest.raises(FileNotFoundError, match="a folder"):
        load_npz(tmp_path)


def test_npz_that_is_something_else(tmp_path):
    text, single = tmp_path / "text.npz", tmp_path / "single.npz"
    text.write_text("x_train, y_train")
    with single.open("wb") as file:
        np.save(file, np.zeros(3))
    truncated = tmp_path / "truncated.npz"
    np.savez(truncated, **_arrays())
    truncated.write_bytes(truncated.read_bytes()[:200])
    for path in (text, truncated):
        with pytest.raises(ValueError, match="NumPy cannot read"):
            load_npz(path)
    with pytest.raises(ValueError, match="single array"):
        load_npz(single)


def _image_files(folder, counts, size=(8, 6), mode="L"):
    """Images of a grey level for each class and file."""
    for label, (name, count) in enumerate(counts.items()):
        (folder / name).mkdir(parents=True)
        for index in range(count):
            level = 10 * label + index
            colour = level if mode == "L" else (level, 0, level)
            Image.new(mode, size, colour).save(folder / name / f"{index:03}.png")


def test_a_folder_with_train_and_test(tmp_path):
    _image_files(tmp_path / "pets" / "train", {"cat": 5, "dog": 4, "owl": 3})
    _image_files(tmp_path / "pets" / "test", {"cat": 2, "owl": 1})
    (tmp_path / "pets" / "train" / "cat" / "notes.txt").touch()
    data = load(f"folder:{tmp_path / 'pets'}", 2, 0)
    assert (data.name, data.class_names) == ("pets", ("cat", "dog", "owl"))
    assert data.x_train.shape == (12, 6, 8, 1)
    np.testing.assert_array_equal(data.y_train, np.repeat([0, 1, 2], [5, 4, 3]))
    np.testing.assert_array_equal(data.y_test, [0, 0, 2])
    np.testing.assert_array_equal(data.x_train[:, 0, 0, 0][5:9], [10, 11, 12, 13])
    np.testing.assert_array_equal(np.bincount(data.y_labelled), [2, 2, 2])
    test = load_test(f"folder:{tmp_path / 'pets'}")
    assert test.class_names == ("cat", "owl")
    np.testing.assert_array_equal(test.labels, [0, 0, 1])


def test_a_folder_of_classes_alone(tmp_path):
    _image_files(tmp_path, {"a": 10, "b": 5}, size=(30, 20), mode="RGB")
    data = load_folder(tmp_path, 1, seed=3, image_size=12)
    assert data.x_train.shape == (12, 12, 12, 3)
    np.testing.assert_array_equal(np.bincount(data.y_train), [8, 4])
    np.testing.assert_array_equal(np.bincount(data.y_test), [2, 1])
    levels = np.concatenate([data.x_train, data.x_test])[:, 6, 6, 0]
    assert sorted(levels) == [*range(10), *range(10, 15)]
    again = load_folder(tmp_path, 1, seed=3, image_size=12)
    np.testing.assert_array_equal(again.x_test, data.x_test)
    assert len(load_test(f"folder:{tmp_path}", image_size=12).labels) == 15


def test_folders_that_do_not_fit(tmp_path):
    with pytest.raises(FileNotFoundError, match="path where nothing is"):
        load_folder(tmp_path / "none")
    with pytest.raises(ValueError, match="a subfolder of images for each class"):
        load_folder(tmp_path)
    _image_files(tmp_path / "one", {"a": 2})
    with pytest.raises(ValueError, match="none|at least two classes"):
        load_folder(tmp_path / "one", 1)
    _image_files(tmp_path / "two" / "train", {"a": 3, "b": 3})
    _image_files(tmp_path / "two" / "test", {"a": 1, "c": 1})
    with pytest.raises(ValueError, match="none in train/ of c"):
        load_folder(tmp_path / "two", 1)
    _image_files(tmp_path / "sizes" / "x", {"a": 5})
    _image_files(tmp_path / "sizes" / "y", {"b": 5}, size=(9, 9))
    with pytest.raises(ValueError, match="Without `image_size`"):
        load_folder(tmp_path / "sizes", 1)
    broken = tmp_path / "sizes" / "x" / "a" / "000.png"
    broken.write_bytes(b"no image")
    with pytest.raises(ValueError, match="000.png.*cannot be read as an image"):
        load_folder(tmp_path / "sizes", 1, image_size=8)
    whole = tmp_path / "sizes" / "x" / "a" / "001.png"
    whole.write_bytes(whole.read_bytes()[:-30])
    broken.unlink()
    with pytest.raises(ValueError, match="001.png.*cannot be read as an image"):
        load_folder(tmp_path / "sizes", 1, image_size=8)


def test_test_images_need_no_others(write):
    test = load_test(f"npz:{write(x_train=None, y_train=None)}")
    assert (test.name, test.class_names) == ("few", None)
    assert test.images.shape == (6, 6, 5, 1)
    np.testing.assert_array_equal(test.labels, np.arange(6) % 3)
    with pytest.raises(ValueError, match="missing: y_test"):
        load_test(f"npz:{write(y_test=None)}")
    assert load_test("digits", 3).images.shape == (400, 8, 8, 1)


def test_shares_of_the_labels():
    labels = np.repeat([0, 1, 2], [400, 100, 3])
    chosen = choose_labelled(labels, "1%", 3, seed=5)
    np.testing.assert_array_equal(np.bincount(labels[chosen]), [4, 1, 1])
    few = choose_labelled(labels, 1, 3, seed=5)
    assert set(few) <= set(chosen)
    assert len(choose_labelled(labels, "100%", 3)) == 503
    for share in ("0%", "101%", "1", "x%"):
        with pytest.raises(ValueError, match=f"labels_per_class='{share}'"):
            choose_labelled(labels, share, 3)


@pytest.mark.parametrize("spec", ["mnist", "npz:", "tfds:", "", "digits:8", None])
def test_unknown_spec(spec):
    with pytest.raises(ValueError, match=r"'digits', 'npz:FILE'.*Received"):
        load(spec)


def _few_labels(**changes):
    arguments = {
        **_arrays(),
        "labelled_indices": [0, 1, 2],
        "num_classes": 3,
        "class_names": ["a", "b", "c"],
        "name": "few",
        **changes,
    }
    return FewLabels(**arguments)


def test_few_labels_without_test_labels():
    assert _few_labels(y_test=None).y_test is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labelled_indices": []}, "`labelled_indices`"),
        ({"labelled_indices": [0, 0]}, "distinct"),
        ({"labelled_indices": [0, 30]}, r"\[0, 30\)"),
        ({"labelled_indices": [0.0, 1.0]}, "float64"),
        ({"y_train": np.full(30, -1)}, "y_train.0. = -1"),
        ({"num_classes": 2}, r"\[0, 2\)"),
        ({"num_classes": 1}, "num_classes=1"),
        ({"class_names": ["a", "b"]}, "2 names for num_classes=3"),
    ],
)
def test_few_labels_that_contradict_themselves(changes, message):
    with pytest.raises(ValueError, match=message):
        _few_labels(**changes)


def test_tfds_that_is_not_installed(monkeypatch):
    real_import = builtins.__import__

    def fail(name, *arguments, **keywords):
        if name == "tensorflow_datasets":
            raise ImportError("No module named 'tensorflow_datasets'")
        return real_import(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", fail)
    with pytest.raises(ImportError, match="pip install"):
        load("tfds:mnist")


# Importing TensorFlow Datasets and its protocol buffers warns of what is to come.
@pytest.mark.filterwarnings("default")
def test_tfds(tmp_path):
    tfds = pytest.importorskip("tensorflow_datasets")
    tf = pytest.importorskip("tensorflow")

    def examples(count, sizes=(8,)):
        for index in range(count):
            size = sizes[index % len(sizes)]
            image = np.full((size, size, 1), index, "uint8")
            yield {"image": image, "label": index % 3}

    def store(name, features, splits):
        tfds.dataset_builders.store_as_tfds_dataset(
            name=name,
            version="1.0.0",
            features=tfds.features.FeaturesDict(features),
            split_datasets={
                split: tf.data.Dataset.from_generator(
                    lambda arguments=arguments: examples(*arguments),
                    output_signature={
                        "image": tf.TensorSpec((None, None, 1), "uint8"),
                        "label": tf.TensorSpec((), "int64"),
                    },
                )
                for split, arguments in splits.items()
            },
            data_dir=str(tmp_path),
        )

    label = tfds.features.ClassLabel(names=["cat", "dog", "owl"])
    fixed = {"image": tfds.features.Image(shape=(8, 8, 1)), "label": label}
    store("few_pets", fixed, {"train": (30,), "test": (6,)})
    store("no_test", fixed, {"train": (30,), "validation": (6,)})
    free = {"image": tfds.features.Image(shape=(None, None, 1)), "label": label}
    store("many_sizes", free, {"train": (6, (8, 9)), "test": (6,)})

    data = load_tfds("few_pets", data_dir=tmp_path, labels_per_class=2)
    assert data.x_train.shape == (30, 8, 8, 1)
    assert data.x_train.dtype == "uint8"
    assert data.class_names == ("cat", "dog", "owl")
    # Every image carries its index as its grey level, and so its label.
    np.testing.assert_array_equal(data.x_train[:, 0, 0, 0] % 3, data.y_train)
    assert len(np.unique(data.x_train[:, 0, 0, 0])) == 30

    with pytest.raises(ValueError, match=r"split 'test'.*train, validation"):
        load_tfds("no_test", data_dir=tmp_path)
    other = load_tfds(
        "no_test", data_dir=tmp_path, labels_per_class=1, test_split="validation"
    )
    assert other.x_test.shape == (6, 8, 8, 1)
    with pytest.raises(ValueError, match="one size"):
        load_tfds("many_sizes", data_dir=tmp_path)
    with pytest.raises(ValueError, match="no_such_data_set"):
        load_tfds("no_such_data_set", data_dir=tmp_path)


def test_a_data_set_by_name(tmp_path, monkeypatch, write):
    path = write()
    monkeypatch.chdir(tmp_path)
    named = dataset("npz:few.npz").resolved()
    assert named == NamedDataset(f"npz:{path}") == dataset(named)
    assert named.to_json() == f"npz:{path}"
    assert dataset(named.to_json()) == named
    assert named.options() == named.sources == {"dataset": f"npz:{path}"}
    assert named.name == dataset_name(f"npz:{path}") == "few.npz"
    assert named.has_test
    assert not named.in_parts
    # It is opened where it is loaded.
    assert named.opened() == named
    assert named.num_unlabelled is None
    data = named.load(labels_per_class=2, seed=1)
    np.testing.assert_array_equal(data.x_train, load_npz(path, 2, 1).x_train)
    np.testing.assert_array_equal(data.y_labelled, load_npz(path, 2, 1).y_labelled)
    assert named.load(2, 1, image_size=12).x_train.shape[1:3] == (14, 12)
    np.testing.assert_array_equal(named.load_test().images, data.x_test)
    with pytest.raises(ValueError, match="come with all the others"):
        named.part("labelled")


def test_what_data_sets_are_called_and_read():
    digits = dataset("digits")
    assert (digits.name, digits.sources) == ("digits", {})
    assert digits.resolved() == digits
    assert dataset("tfds:mnist").name == "tfds:mnist"
    assert dataset(r"folder:C:\photos\cats").name == "cats"
    # What `semppl evaluate --test` takes is a source.
    assert dataset_name("/photos/held_out") == "held_out"
    # Where a run is of classes, they are so in other tables, too.
    assert digits.knowing(["none"]).table_options.keep_labels == ("none",)
    assert digits.knowing(["none"]) == digits


def test_own_images_are_a_data_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("many", "few"):
        (tmp_path / name).mkdir()
    own = OwnDataset("many", "few", image_size=64, backbone="resnet18").resolved()
    entries = {
        "unlabelled": str(tmp_path / "many"),
        "labelled": str(tmp_path / "few"),
        "test": None,
        "image_size": 64,
        "fit": "pad",
        "backbone": "resnet18",
        "max_skipped": 0.05,
        "cache": "auto",
    }
    tables = {
        "path_column": None,
        "label_column": None,
        "split_column": None,
        "keep_labels": [],
        "unknown_labels": [],
    }
    assert own.to_json() == {**entries, "tables": tables}
    assert own.options() == {**entries, **tables}
    assert dataset(own.to_json()) == own
    assert own.sources == {
        "unlabelled": str(tmp_path / "many"),
        "labelled": str(tmp_path / "few"),
    }
    assert own.in_parts
    assert not own.has_test
    assert own.name == dataset_name(own.to_json()) == "many"
    # Of a run that was begun before there were options of tables, and fits.
    earlier = dataset({name: entries[name] for name in entries if name != "fit"})
    assert earlier.to_json() == {**entries, "fit": "crop"}
    assert earlier.knowing(["a"]).table_options.lenient
    assert earlier.knowing(["a"]).table_options.keep_labels == ("a",)
    with pytest.raises(FileNotFoundError, match="The test images .* 'held'"):
        OwnDataset("many", "few", "held").resolved()


def test_every_data_set_has_a_recipe():
    def recipe(spec, **changes):
        return recipes.for_dataset(dataset(spec), **changes)

    assert recipe("digits") == recipes.digits()
    assert recipe("digits", epochs=7) == recipes.digits(epochs=7)
    assert recipe("folder:/photos/digits") == recipes.small_images()
    own = OwnDataset("many", "few", image_size=80, backbone="resnet50")
    assert recipe(own) == recipes.own_images(80, "resnet50").with_fit("pad")
    cropped = dataclasses.replace(own, fit="crop")
    assert recipe(cropped) == recipes.own_images(80, "resnet50")
    smaller = recipe("digits", batch_size=32, learning_rate=1e-3)
    assert (smaller.batch_size, smaller.labelled_batch_size) == (32, 16)
    assert smaller.optimizer[1]["learning_rate"] == 1e-3
