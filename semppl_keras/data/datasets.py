"""Loading data sets by name."""

import dataclasses
import pathlib

import numpy as np

from semppl_keras.data.checks import listed
from semppl_keras.data.few_labels import (
    FewLabels,
    LabelledTest,
    as_images,
    as_labels,
    check_same_length,
    choose_labelled,
)
from semppl_keras.data.images.decoding import find_ranges, read_images
from semppl_keras.data.images.files import find_classes
from semppl_keras.data.images.npz_archives import open_npz
from semppl_keras.data.images.sources import image_list, remarks_on_folder
from semppl_keras.data.images.tfds_builders import check_split, open_builder

_DIGITS_TEST_IMAGES = 400
_NPZ_KEYS = ("x_train", "y_train", "x_test", "y_test")

# Of each class, where a folder does not say which images are for testing.
_FOLDER_TEST_SHARE = 0.2


def load_digits(labels_per_class=10, seed=0):
    """Loads scikit-learn's 1,797 handwritten digits, 8 x 8 pixels.

    The images come with scikit-learn: nothing is downloaded. Their 17 grey levels
    become multiples of 15.9375, which float32 holds exactly.

    Args:
        labels_per_class: Labelled training images of each digit; None for all.
        seed: Chooses the 400 test images and the labelled ones.

    Returns:
        `FewLabels` of 1,397 training and 400 test images, `(8, 8, 1)` float32.

    Raises:
        ValueError: Fewer images of a digit than `labels_per_class`.

    Example:
        >>> load_digits(labels_per_class=1, seed=2).y_labelled.shape
        (10,)
    """
    from sklearn.datasets import load_digits as load_sklearn_digits

    digits = load_sklearn_digits()
    images = (digits.images[..., None] * (255 / 16)).astype("float32")
    labels = digits.target.astype("int32")
    order = np.random.default_rng(seed).permutation(len(images))
    test, train = order[:_DIGITS_TEST_IMAGES], order[_DIGITS_TEST_IMAGES:]
    return FewLabels(
        x_train=images[train],
        y_train=labels[train],
        labelled_indices=choose_labelled(labels[train], labels_per_class, 10, seed),
        x_test=images[test],
        y_test=labels[test],
        num_classes=10,
        class_names=tuple(str(digit) for digit in range(10)),
        name="digits",
    )


def load_npz(path, labels_per_class=10, seed=0):
    """Loads a NumPy archive of images and integer labels.

    Args:
        path: An `.npz` file with `x_train`, `y_train`, `x_test`, `y_test`, and
            optionally `class_names`. Images `(N, h, w)`, `(N, h, w, 1)` or
            `(N, h, w, 3)`, integer or float in [0, 255]. Labels `(N,)`, integers
            from 0 without gaps; -1 in `y_train` where the label is unknown.
        labels_per_class: Labelled training images of each class; None for every
            image whose label is known.
        seed: Chooses the labelled images.

    Returns:
        `FewLabels`, named after the file.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not an `.npz` file, or not the arrays described above.

    Example:
        >>> data = load_npz("fashion_mnist.npz", labels_per_class=10)
    """
    arrays, names, name = open_npz(path, _NPZ_KEYS)
    return _from_arrays(arrays, names, name, labels_per_class, seed)


def load_tfds(
    name,
    data_dir=None,
    labels_per_class=10,
    seed=0,
    *,
    train_split="train",
    test_split="test",
):
    """Loads an image classification data set of TensorFlow Datasets.

    Needs `tensorflow-datasets` and TensorFlow, whichever backend trains.

    Args:
        name: For example `"fashion_mnist"` or `"cifar10:3.0.2"`.
        data_dir: The folder of the prepared data sets; None for TensorFlow Datasets'
            own (`~/tensorflow_datasets`, or the variable `TFDS_DATA_DIR`). What is
            not there is downloaded.
        labels_per_class: Labelled training images of each class; None for every
            image whose label is known.
        seed: Chooses the labelled images.
        train_split: Split to train on.
        test_split: Split to test on, for example `"validation"` where the labels of
            `"test"` are secret.

    Returns:
        `FewLabels`; everything is held in memory.

    Raises:
        ImportError: `tensorflow-datasets` is not installed.
        ValueError: An unknown data set, one without images and integer labels or
            without one of the splits, or one whose images differ in size.

    Example:
        >>> data = load_tfds("fashion_mnist", labels_per_class=10)
    """
    tfds, builder = open_builder(name, data_dir)
    features = builder.info.features
    for argument, split in (("train_split", train_split), ("test_split", test_split)):
        check_split(builder, split, f" Choose among them with `{argument}`.")
    arrays = {}
    for part, split in (("train", train_split), ("test", test_split)):
        arrays[f"x_{part}"], arrays[f"y_{part}"] = _read_tfds_split(
            tfds, builder, split, name
        )
    label = features["label"]
    names = getattr(label, "names", None)
    return _from_arrays(arrays, names, builder.info.name, labels_per_class, seed)


def load_folder(
    path, labels_per_class=10, seed=0, *, image_size=None, value_range=None
):
    """Loads image files from folders, one for each class.

    Args:
        path: A folder of folders `train/CLASS` and `test/CLASS`, or of folders
            `CLASS`, of each of which a fifth, drawn by seed, is to test on.
        labels_per_class: As for `choose_labelled`.
        seed: Chooses the labelled images, and those to test on.
        image_size: Integer: of each image the central square is resized to it. None
            for images that have one size.
        value_range: As for `load_own_images`.

    Returns:
        `FewLabels`, named after the folder, its classes in the order of their names.

    Raises:
        FileNotFoundError: No such folder.
        ValueError: No images, fewer than two classes, classes to test on that there
            are none of to train on, or a file that is no image.

    Example:
        >>> data = load_folder("flowers", labels_per_class=10, image_size=64)
    """
    path = pathlib.Path(path)
    remarks = []
    if (path / "train").is_dir() and (path / "test").is_dir():
        train, test = (_classes(path / part, remarks) for part in ("train", "test"))
    else:
        train, test = {}, {}
        generator = np.random.default_rng(seed)
        for name, paths in _classes(path, remarks).items():
            order = generator.permutation(len(paths))
            count = round(_FOLDER_TEST_SHARE * len(paths))
            test[name] = [paths[index] for index in order[:count]]
            train[name] = [paths[index] for index in order[count:]]
    unknown = sorted(set(test) - set(train))
    if unknown:
        raise ValueError(
            f"The folder {str(path)!r} must have images to train on of every class. "
            f"Received: none in train/ of {', '.join(unknown)}."
        )
    names = tuple(sorted(train))
    every = [
        path for part in (train, test) for paths in part.values() for path in paths
    ]
    ranges, remarks_on_ranges = find_ranges(image_list(every), value_range)
    arrays = {}
    channels = None
    for part, classes in (("train", train), ("test", test)):
        paths = [path for name in names for path in classes.get(name, [])]
        if not paths:
            raise ValueError(
                f"The folder {str(path)!r} must hold images to {part} with. Received: "
                "none."
            )
        images = read_images(paths, image_size, channels, ranges)
        channels = images.shape[-1]
        arrays[f"x_{part}"] = images
        arrays[f"y_{part}"] = np.repeat(
            np.arange(len(names)), [len(classes.get(name, [])) for name in names]
        )
    return dataclasses.replace(
        _from_arrays(arrays, names, path.resolve().name, labels_per_class, seed),
        remarks=(*remarks, *remarks_on_ranges),
        value_ranges=ranges,
    )


def load_test(spec, seed=0, *, image_size=None, value_range=None):
    """Loads the test images of a data set, which needs no others.

    Args:
        spec: As for `load`. An npz file needs `x_test` and `y_test` alone; a folder
            without `test/` is to test on as a whole.
        seed: Chooses the test images of the digits.
        image_size: As for `load`.
        value_range: As for `load`.

    Returns:
        `LabelledTest`.

    Raises:
        ValueError, FileNotFoundError, ImportError: As `load`.
    """
    kind, _, rest = str(spec).partition(":")
    if kind == "npz" and rest:
        arrays, names, name = open_npz(rest, ("x_test", "y_test"))
        return LabelledTest(
            arrays["x_test"],
            arrays["y_test"],
            None if names is None else tuple(str(one) for one in names),
            name,
        )
    if kind == "folder" and rest:
        path = pathlib.Path(rest)
        own = path / "test"
        classes = find_classes(own if own.is_dir() else path)
        paths = [path for of_class in classes.values() for path in of_class]
        ranges, _ = find_ranges(image_list(paths), value_range)
        return LabelledTest(
            read_images(paths, image_size, ranges=ranges),
            np.repeat(np.arange(len(classes)), [len(own) for own in classes.values()]),
            tuple(classes),
            path.resolve().name,
        )
    data = load(spec, None, seed)
    if data.y_test is None:
        raise ValueError(
            f"There must be labels of the test images. Received: {data.name}, which "
            "has none."
        )
    return LabelledTest(data.x_test, data.y_test, data.class_names, data.name)


def load(spec, labels_per_class=10, seed=0, *, image_size=None, value_range=None):
    """Loads the data set that a short text names.

    Args:
        spec: `"digits"`, `"npz:FILE"`, `"tfds:NAME"` or `"folder:DIR"`.
        labels_per_class: As for `choose_labelled`.
        seed: Chooses the labelled images (and the test images of the digits and of a
            folder without `test/`).
        image_size: To which images of a folder are resized; the others keep theirs.
        value_range: Of the deep images of a folder, as for `load_own_images`.

    Returns:
        `FewLabels`.

    Raises:
        ValueError: None of the four, or what the four functions raise.
        FileNotFoundError: `FILE` or `DIR` does not exist.
        ImportError: `tfds:` without tensorflow-datasets.

    Example:
        >>> load("npz:fashion_mnist.npz", labels_per_class=10)
    """
    kind, _, rest = str(spec).partition(":")
    if spec == "digits":
        return load_digits(labels_per_class, seed)
    if kind == "npz" and rest:
        return load_npz(rest, labels_per_class, seed)
    if kind == "tfds" and rest:
        return load_tfds(rest, labels_per_class=labels_per_class, seed=seed)
    if kind == "folder" and rest:
        return load_folder(
            rest,
            labels_per_class,
            seed,
            image_size=image_size,
            value_range=value_range,
        )
    raise ValueError(
        "The data set must be 'digits', 'npz:FILE' (a NumPy archive), 'tfds:NAME' "
        "(TensorFlow Datasets) or 'folder:DIR' (a folder of images for each class). "
        f"Received: {spec!r}."
    )


def _classes(folder, remarks):
    """As `find_classes`, what is worth knowing added to a list."""
    passed_over, unread, empty, loose = [], [], {}, []
    classes = find_classes(folder, passed_over, unread, empty, loose)
    remarks += remarks_on_folder(folder, passed_over, unread, empty, loose)
    return classes


def _read_tfds_split(tfds, builder, split, name):
    count = builder.info.splits[split].num_examples
    images, labels = None, np.empty(count, "int64")
    for index, example in enumerate(tfds.as_numpy(builder.as_dataset(split=split))):
        image = example["image"]
        if images is None:
            images = np.empty((count, *image.shape), image.dtype)
        if image.shape != images.shape[1:]:
            raise ValueError(
                f"The images of {name!r} must all have one size. Received: "
                f"{images.shape[1:]} and {image.shape} in the split {split!r}. Resize "
                "them to one size, write them with numpy.savez_compressed "
                f"({', '.join(_NPZ_KEYS)}) and load that file with `load_npz`."
            )
        if np.ndim(example["label"]) != 0:
            raise ValueError(
                f"The labels of {name!r} must be single integers. Received one of "
                f"shape {np.shape(example['label'])}."
            )
        images[index], labels[index] = image, example["label"]
    if images is None:
        raise ValueError(
            f"The split {split!r} of {name!r} must hold images. Received: none."
        )
    return images, labels


def _from_arrays(arrays, names, name, labels_per_class, seed):
    x_train = as_images(arrays["x_train"], "x_train")
    y_train = as_labels(arrays["y_train"], "y_train")
    check_same_length(x_train, y_train, "train")
    y_test = as_labels(arrays["y_test"], "y_test")
    num_classes = len(names) if names is not None else int(y_train.max()) + 1
    if num_classes < 2:
        raise ValueError(
            "`y_train` must hold at least two classes. Received: labels between "
            f"{y_train.min()} and {y_train.max()}."
        )
    if num_classes > len(y_train):
        # A name for each, and more, would be made.
        raise ValueError(
            f"Every class must have training images. Received: {len(y_train):,} "
            f"image(s) for {num_classes:,} classes, by the largest label or the names. "
            "Number the classes 0, 1, 2, ... without gaps."
        )
    if names is None:
        names = range(num_classes)
    names = tuple(str(name) for name in names)
    if len(set(names)) < len(names) or "" in names:
        raise ValueError(
            "`class_names` must be different texts, one for each class. Received: "
            f"{listed([*names])}."
        )
    return FewLabels(
        x_train=x_train,
        y_train=y_train,
        labelled_indices=choose_labelled(y_train, labels_per_class, num_classes, seed),
        x_test=arrays["x_test"],
        y_test=y_test,
        num_classes=num_classes,
        class_names=names,
        name=name,
    )
