"""Loading data sets and choosing which of their training images count as labelled."""

import dataclasses
import pathlib

import keras
import numpy as np

from semppl_keras.data.checks import check_not_unit_range, check_value_range
from semppl_keras.data.image_folders import list_images, read_images

# A label that nobody knows. Such an image is trained on, but never counted.
UNKNOWN = -1

_DIGITS_TEST_IMAGES = 400
_NPZ_KEYS = ("x_train", "y_train", "x_test", "y_test")

# Of each class, where a folder does not say which images are for testing.
_FOLDER_TEST_SHARE = 0.2


@dataclasses.dataclass(frozen=True, eq=False)
class FewLabels:
    """A data set of which a few training images count as labelled.

    Args:
        x_train: All training images, labelled or not: `(N, h, w, c)`, uint8 or
            float32 in [0, 255], c = 1 or 3.
        y_train: `(N,)` integers in `[0, num_classes)`, or -1 where nobody knows
            the label. Training may look at `y_train[labelled_indices]` alone; the
            others are there to measure the pseudo-labels.
        labelled_indices: Sorted, distinct indices into `x_train`.
        x_test: `(M, h, w, c)` in the same range.
        y_test: `(M,)` integers in `[0, num_classes)`, or None where nobody knows.
        num_classes: At least 2.
        class_names: One string per class.
        name: What the data set is called in reports.

    Raises:
        ValueError: The parts contradict each other.

    Example:
        >>> data = load_digits(labels_per_class=10, seed=0)
        >>> data.x_labelled.shape, data.x_unlabelled.shape
        ((100, 8, 8, 1), (1297, 8, 8, 1))
    """

    x_train: np.ndarray
    y_train: np.ndarray
    labelled_indices: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray | None
    num_classes: int
    class_names: tuple[str, ...]
    name: str

    def __post_init__(self):
        parts = {
            "x_train": _as_images(self.x_train, "x_train"),
            "y_train": _as_labels(self.y_train, "y_train"),
            "labelled_indices": np.asarray(self.labelled_indices),
            "x_test": _as_images(self.x_test, "x_test"),
            "class_names": tuple(str(name) for name in self.class_names),
        }
        if self.y_test is not None:
            parts["y_test"] = _as_labels(self.y_test, "y_test")
        # The fields hold what was checked (a channel axis, int32 labels), which a
        # frozen dataclass lets only this door set.
        for name, value in parts.items():
            object.__setattr__(self, name, value)
        self._check()

    def _check(self):
        _check_same_length(self.x_train, self.y_train, "train")
        if self.x_train.shape[1:] != self.x_test.shape[1:]:
            raise ValueError(
                "Training and test images must have the same height, width and "
                f"channels. Received: x_train of shape {self.x_train.shape} and "
                f"x_test of shape {self.x_test.shape}. Resize one of them."
            )
        if self.num_classes < 2:
            raise ValueError(
                "There must be at least two classes to tell apart. "
                f"Received: num_classes={self.num_classes}."
            )
        _check_label_range(self.y_train, self.num_classes, "y_train", unknown=True)
        if self.y_test is not None:
            _check_same_length(self.x_test, self.y_test, "test")
            _check_label_range(self.y_test, self.num_classes, "y_test", unknown=False)
        if len(self.class_names) != self.num_classes:
            raise ValueError(
                "`class_names` must name every class once. Received: "
                f"{len(self.class_names)} names for num_classes={self.num_classes}."
            )
        indices = self.labelled_indices
        if (
            indices.ndim != 1
            or not np.issubdtype(indices.dtype, np.integer)
            or len(indices) == 0
            or indices.min() < 0
            or indices.max() >= len(self.x_train)
            or np.any(np.diff(indices) <= 0)
        ):
            raise ValueError(
                "`labelled_indices` must be a sorted array of distinct integers in "
                f"[0, {len(self.x_train)}), at least one. Received: shape "
                f"{indices.shape}, dtype {indices.dtype}, beginning {indices[:5]}."
            )
        unknown = indices[self.y_train[indices] == UNKNOWN]
        if len(unknown):
            raise ValueError(
                "Every labelled image needs a known label. Received: "
                f"y_train[{unknown[0]}] = {UNKNOWN} (unknown), and "
                f"{len(unknown)} of {len(indices)} labelled indices like it."
            )

    @property
    def unlabelled_indices(self):
        """The other indices into `x_train`, sorted."""
        return np.setdiff1d(np.arange(len(self.x_train)), self.labelled_indices)

    @property
    def x_labelled(self):
        """The labelled images, `(n, h, w, c)`."""
        return self.x_train[self.labelled_indices]

    @property
    def y_labelled(self):
        """Their labels, `(n,)` int32."""
        return self.y_train[self.labelled_indices]

    @property
    def x_unlabelled(self):
        """The images that count as unlabelled, `(N - n, h, w, c)`."""
        return self.x_train[self.unlabelled_indices]

    @property
    def y_hidden(self):
        """Their hidden labels, for measuring alone, `(N - n,)` int32."""
        return self.y_train[self.unlabelled_indices]

    def enlarged(self, size):
        """The data set with images of at least `size` pixels a side.

        Args:
            size: At least 1. Images of a shorter side are enlarged (bilinear, their
                proportions kept); others stay as they are.

        Returns:
            `FewLabels`.

        Example:
            >>> load_digits().enlarged(16).x_train.shape
            (1397, 16, 16, 1)
        """
        height, width = self.x_train.shape[1:3]
        scale = size / min(height, width)
        if scale <= 1:
            return self
        shape = (round(height * scale), round(width * scale))
        return dataclasses.replace(
            self,
            x_train=_resize(self.x_train, shape),
            x_test=_resize(self.x_test, shape),
        )


@dataclasses.dataclass(frozen=True, eq=False)
class LabelledTest:
    """Images to test on alone.

    Args:
        images: `(M, h, w, c)` in [0, 255], c = 1 or 3.
        labels: `(M,)` integers from 0.
        class_names: One string per class, or None where they have numbers alone.
        name: What the data set is called in reports.
    """

    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...] | None
    name: str

    def __post_init__(self):
        object.__setattr__(self, "images", _as_images(self.images, "x_test"))
        object.__setattr__(self, "labels", _as_labels(self.labels, "y_test"))
        _check_same_length(self.images, self.labels, "test")


def choose_labelled(y_train, labels_per_class, num_classes, seed=0):
    """Draws the same number, or the same share, of labelled images from each class.

    Args:
        y_train: `(N,)` integers, -1 where the label is unknown.
        labels_per_class: At least 1; a share such as `"1%"` of the known labels of
            each class, at least one image; or None for every image whose label is
            known.
        num_classes: The classes are `0 .. num_classes - 1`.
        seed: Integer. With one seed, n labels per class are a subset of n + 1.

    Returns:
        Sorted int64 indices, for a number `(labels_per_class * num_classes,)`.

    Raises:
        ValueError: A class has fewer known labels than asked for, or the share is
            none.

    Example:
        >>> choose_labelled(np.array([0, 1, 0, 1, -1]), 2, num_classes=2)
        array([0, 1, 2, 3])
    """
    y_train = _as_labels(y_train, "y_train")
    _check_label_range(y_train, num_classes, "y_train", unknown=True)
    counts = np.bincount(y_train[y_train != UNKNOWN], minlength=num_classes)
    share = None
    if isinstance(labels_per_class, str):
        share = _share_of(labels_per_class)
    needed = 1 if labels_per_class is None or share else labels_per_class
    if isinstance(needed, bool) or not isinstance(needed, int | np.integer):
        raise ValueError(
            "`labels_per_class` must be an integer, or None for every known label. "
            f"Received: labels_per_class={labels_per_class!r}."
        )
    if needed < 1:
        raise ValueError(
            f"`labels_per_class` must be at least 1. Received: "
            f"labels_per_class={labels_per_class}."
        )
    short = np.flatnonzero(counts < needed)
    if len(short):
        if counts.min() > 0:
            advice = f"Ask for at most {counts.min()} label(s) per class."
        else:
            advice = "Number the classes 0, 1, 2, ... without gaps."
        raise ValueError(
            f"Every class must have at least {needed} training image(s) with a known "
            f"label. Received: {counts[short[0]]} for class {short[0]} "
            f"({len(short)} of {num_classes} classes have too few). {advice}"
        )
    if labels_per_class is None:
        return np.flatnonzero(y_train != UNKNOWN)
    generator = np.random.default_rng(seed)
    chosen = []
    for label in range(num_classes):
        known = generator.permutation(np.flatnonzero(y_train == label))
        wanted = max(1, round(share * len(known))) if share else labels_per_class
        chosen.append(known[:wanted])
    return np.sort(np.concatenate(chosen))


def _share_of(text):
    try:
        share = float(text.removesuffix("%")) / 100 if text.endswith("%") else 0
    except ValueError:
        share = 0
    if not 0 < share <= 1:
        raise ValueError(
            "`labels_per_class` must be an integer, None for every known label, or a "
            "share above 0% and at most 100% such as '10%'. Received: "
            f"labels_per_class={text!r}."
        )
    return share


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
    arrays, names, name = _open_npz(path, _NPZ_KEYS)
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
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise ImportError(
            f"Loading {name!r} needs the packages tensorflow-datasets, tensorflow and "
            "importlib_resources. Received: an installation without one of them "
            f"({error}). Install them with pip install 'semppl_keras[tfds,tensorflow]'."
        ) from error

    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except (tfds.core.registered.DatasetNotFoundError, ValueError) as error:
        summary = str(error).strip().splitlines()[0]
        raise ValueError(
            "`name` must be a data set of TensorFlow Datasets (their list: "
            f"https://www.tensorflow.org/datasets/catalog). Received: name={name!r}, "
            f"data_dir={data_dir!r}; {summary}"
        ) from error
    features = builder.info.features
    keys = sorted(features) if hasattr(features, "keys") else []
    for key in ("image", "label"):
        if key not in keys:
            raise ValueError(
                f"The data set {name!r} must have the features 'image' and 'label'. "
                f"Received: {', '.join(keys) or features}. Convert it to an .npz file "
                "and load that with `load_npz`."
            )
    builder.download_and_prepare()
    available = sorted(builder.info.splits)
    for argument, split in (("train_split", train_split), ("test_split", test_split)):
        # A slice such as "train[:80%]" starts with the name of its split.
        if split.split("[")[0] not in available:
            raise ValueError(
                f"The data set {name!r} must have the split {split!r}. Received one "
                f"with: {', '.join(available)}. Choose among them with `{argument}`."
            )
    arrays = {}
    for part, split in (("train", train_split), ("test", test_split)):
        arrays[f"x_{part}"], arrays[f"y_{part}"] = _read_tfds_split(
            tfds, builder, split, name
        )
    label = features["label"]
    names = getattr(label, "names", None)
    return _from_arrays(arrays, names, builder.info.name, labels_per_class, seed)


def load_folder(path, labels_per_class=10, seed=0, *, image_size=None):
    """Loads image files from folders, one for each class.

    Args:
        path: A folder of folders `train/CLASS` and `test/CLASS`, or of folders
            `CLASS`, of each of which a fifth, drawn by seed, is to test on.
        labels_per_class: As for `choose_labelled`.
        seed: Chooses the labelled images, and those to test on.
        image_size: Integer: of each image the central square is resized to it. None
            for images that have one size.

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
    if (path / "train").is_dir() and (path / "test").is_dir():
        train, test = list_images(path / "train"), list_images(path / "test")
    else:
        train, test = {}, {}
        generator = np.random.default_rng(seed)
        for name, paths in list_images(path).items():
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
    arrays = {}
    channels = None
    for part, classes in (("train", train), ("test", test)):
        paths = [path for name in names for path in classes.get(name, [])]
        if not paths:
            raise ValueError(
                f"The folder {str(path)!r} must hold images to {part} with. Received: "
                "none."
            )
        images = read_images(paths, image_size, channels)
        channels = images.shape[-1]
        arrays[f"x_{part}"] = images
        arrays[f"y_{part}"] = np.repeat(
            np.arange(len(names)), [len(classes.get(name, [])) for name in names]
        )
    return _from_arrays(arrays, names, path.resolve().name, labels_per_class, seed)


def load_test(spec, seed=0, *, image_size=None):
    """Loads the test images of a data set, which needs no others.

    Args:
        spec: As for `load`. An npz file needs `x_test` and `y_test` alone; a folder
            without `test/` is to test on as a whole.
        seed: Chooses the test images of the digits.
        image_size: As for `load`.

    Returns:
        `LabelledTest`.

    Raises:
        ValueError, FileNotFoundError, ImportError: As `load`.
    """
    kind, _, rest = str(spec).partition(":")
    if kind == "npz" and rest:
        arrays, names, name = _open_npz(rest, ("x_test", "y_test"))
        return LabelledTest(
            arrays["x_test"],
            arrays["y_test"],
            None if names is None else tuple(str(one) for one in names),
            name,
        )
    if kind == "folder" and rest:
        path = pathlib.Path(rest)
        own = path / "test"
        classes = list_images(own if own.is_dir() else path)
        paths = [path for of_class in classes.values() for path in of_class]
        return LabelledTest(
            read_images(paths, image_size),
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


def load(spec, labels_per_class=10, seed=0, *, image_size=None):
    """Loads the data set that a short text names.

    Args:
        spec: `"digits"`, `"npz:FILE"`, `"tfds:NAME"` or `"folder:DIR"`.
        labels_per_class: As for `choose_labelled`.
        seed: Chooses the labelled images (and the test images of the digits and of a
            folder without `test/`).
        image_size: To which images of a folder are resized; the others keep theirs.

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
        return load_folder(rest, labels_per_class, seed, image_size=image_size)
    raise ValueError(
        "The data set must be 'digits', 'npz:FILE' (a NumPy archive), 'tfds:NAME' "
        "(TensorFlow Datasets) or 'folder:DIR' (a folder of images for each class). "
        f"Received: {spec!r}."
    )


def _open_npz(path, keys):
    """Arrays, class names or None, and the name of the file."""
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"There must be an .npz file at {str(path)!r}. Received: "
            + ("a folder." if path.is_dir() else "a path where nothing is.")
        )
    # NumPy leaves a file that it opened itself open where it is a broken archive.
    with path.open("rb") as file:
        arrays, names = _read_npz(file, path, keys)
    return arrays, names, path.stem


def _read_npz(file, path, keys):
    try:
        archive = np.load(file, allow_pickle=False)
    # It reports what it cannot read in several ways: ValueError, EOFError, and
    # BadZipFile, which is an Exception and no more.
    except Exception as error:
        raise ValueError(
            f"{str(path)!r} must be a NumPy .npz archive. Received a file that NumPy "
            f"cannot read: {error}. Write one with numpy.savez_compressed."
        ) from error
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise ValueError(
            f"{str(path)!r} must be an .npz archive of the arrays "
            f"{', '.join(keys)}. Received a single array (.npy). Write one with "
            "numpy.savez_compressed."
        )
    missing = [key for key in keys if key not in archive]
    if missing:
        raise ValueError(
            f"{str(path)!r} must hold the arrays {', '.join(keys)}. "
            f"Received: {', '.join(sorted(archive.files)) or 'none'}; missing: "
            f"{', '.join(missing)}."
        )
    try:
        arrays = {key: archive[key] for key in keys}
        return arrays, archive.get("class_names")
    except ValueError as error:
        raise ValueError(
            f"The arrays of {str(path)!r} must be plain numbers (dtype=object cannot "
            f"be read safely). Received: {error}"
        ) from error


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
    x_train = _as_images(arrays["x_train"], "x_train")
    y_train = _as_labels(arrays["y_train"], "y_train")
    _check_same_length(x_train, y_train, "train")
    y_test = _as_labels(arrays["y_test"], "y_test")
    num_classes = len(names) if names is not None else int(y_train.max()) + 1
    if num_classes < 2:
        raise ValueError(
            "`y_train` must hold at least two classes. Received: labels between "
            f"{y_train.min()} and {y_train.max()}."
        )
    if names is None:
        names = tuple(str(label) for label in range(num_classes))
    return FewLabels(
        x_train=x_train,
        y_train=y_train,
        labelled_indices=choose_labelled(y_train, labels_per_class, num_classes, seed),
        x_test=arrays["x_test"],
        y_test=y_test,
        num_classes=num_classes,
        class_names=tuple(names),
        name=name,
    )


def _resize(images, shape):
    chunks = [
        keras.ops.image.resize(
            images[start : start + 1024].astype("float32"),
            shape,
            interpolation="bilinear",
            data_format="channels_last",
        )
        for start in range(0, len(images), 1024)
    ]
    resized = np.concatenate([keras.ops.convert_to_numpy(chunk) for chunk in chunks])
    # Rounding may lead out of the range by a last digit.
    return resized.clip(0, 255)


def _as_images(images, name):
    images = np.asarray(images)
    received = f"Received: shape {images.shape}, dtype {images.dtype}."
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise ValueError(
            f"`{name}` must be images of shape (N, h, w), (N, h, w, 1) or "
            f"(N, h, w, 3), channels last. {received}"
        )
    if 0 in images.shape:
        raise ValueError(f"`{name}` must hold at least one image. {received}")
    is_float = np.issubdtype(images.dtype, np.floating)
    if not is_float and not np.issubdtype(images.dtype, np.integer):
        raise ValueError(f"`{name}` must be integers or floats. {received}")
    low, high = images.min(), images.max()
    check_value_range(name, low, high, (0, 255))
    if is_float:
        check_not_unit_range(name, low, high, (0, 255))
    return images.astype("float32" if is_float else "uint8", copy=False)


def _as_labels(labels, name):
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] == 1:
        # The shape that keras.datasets gives CIFAR's labels.
        labels = labels[:, 0]
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        hint = ""
        if labels.ndim == 2:
            hint = " One-hot labels become integers with .argmax(axis=1)."
        elif labels.ndim == 1 and np.issubdtype(labels.dtype, np.floating):
            hint = " Convert them with .astype('int32')."
        elif labels.ndim == 1:
            hint = " Number them with numpy.unique(labels, return_inverse=True)."
        raise ValueError(
            f"`{name}` must be integers of shape (N,). Received: shape "
            f"{labels.shape}, dtype {labels.dtype}.{hint}"
        )
    return labels.astype("int32")


def _check_same_length(images, labels, part):
    if len(images) != len(labels):
        raise ValueError(
            f"`x_{part}` and `y_{part}` must have the same length. Received: "
            f"{len(images)} images and {len(labels)} labels."
        )


def _check_label_range(labels, num_classes, name, *, unknown):
    lowest = UNKNOWN if unknown else 0
    if len(labels) and (labels.min() < lowest or labels.max() >= num_classes):
        raise ValueError(
            f"`{name}` must lie in [0, {num_classes})"
            + (f" or be {UNKNOWN} (unknown)" if unknown else "")
            + f". Received: labels from {labels.min()} to {labels.max()}."
        )
