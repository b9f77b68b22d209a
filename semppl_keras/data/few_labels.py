"""Images of which a few are labelled, and which of them those are."""

import dataclasses

import keras
import numpy as np

from semppl_keras.data.checks import check_not_unit_range, check_value_range
from semppl_keras.data.images.value_ranges import ValueRanges

# A label that nobody knows. Such an image is trained on, but never counted.
UNKNOWN = -1


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
        x_test: `(M, h, w, c)` in the same range, or None where there are none.
        y_test: `(M,)` integers in `[0, num_classes)`, or None where nobody knows.
        num_classes: At least 2.
        class_names: One string per class.
        name: What the data set is called in reports.
        remarks: Tuple of str, what is worth knowing about the data: leakage, classes
            with a single label, ...
        value_ranges: `ValueRanges` by which deep images were brought to [0, 255], or
            None where there is nothing to know about them.

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
    x_test: np.ndarray | None
    y_test: np.ndarray | None
    num_classes: int
    class_names: tuple[str, ...]
    name: str
    remarks: tuple[str, ...] = ()
    value_ranges: ValueRanges | None = None

    def __post_init__(self):
        parts = {
            "x_train": as_images(self.x_train, "x_train"),
            "y_train": as_labels(self.y_train, "y_train"),
            "labelled_indices": np.asarray(self.labelled_indices),
            "class_names": tuple(str(name) for name in self.class_names),
        }
        if self.x_test is not None:
            parts["x_test"] = as_images(self.x_test, "x_test")
        if self.y_test is not None:
            parts["y_test"] = as_labels(self.y_test, "y_test")
        # The fields hold what was checked (a channel axis, int32 labels), which a
        # frozen dataclass lets only this door set.
        for name, value in parts.items():
            object.__setattr__(self, name, value)
        self._check()

    def _check(self):
        check_same_length(self.x_train, self.y_train, "train")
        if self.x_test is None and self.y_test is not None:
            raise ValueError(
                "Labels of test images need these images. Received: `y_test` without "
                "`x_test`."
            )
        if self.x_test is not None and self.x_train.shape[1:] != self.x_test.shape[1:]:
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
        check_label_range(self.y_train, self.num_classes, "y_train", unknown=True)
        if self.y_test is not None:
            check_same_length(self.x_test, self.y_test, "test")
            check_label_range(self.y_test, self.num_classes, "y_test", unknown=False)
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
        return _rows(self.x_train, self.labelled_indices)

    @property
    def y_labelled(self):
        """Their labels, `(n,)` int32."""
        return self.y_train[self.labelled_indices]

    @property
    def x_unlabelled(self):
        """The images that count as unlabelled, `(N - n, h, w, c)`."""
        return _rows(self.x_train, self.unlabelled_indices)

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
            x_test=None if self.x_test is None else _resize(self.x_test, shape),
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
        object.__setattr__(self, "images", as_images(self.images, "x_test"))
        object.__setattr__(self, "labels", as_labels(self.labels, "y_test"))
        check_same_length(self.images, self.labels, "test")


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
    y_train = as_labels(y_train, "y_train")
    check_label_range(y_train, num_classes, "y_train", unknown=True)
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


def _rows(images, indices):
    """The rows of sorted, distinct indices; of consecutive ones without a copy."""
    if len(indices) and indices[-1] - indices[0] + 1 == len(indices):
        return images[indices[0] : indices[-1] + 1]
    return images[indices]


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


def as_images(images, name):
    """Images `(N, h, w, c)` as uint8 or float32, once they are checked."""
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
    if images.dtype == "uint8":
        # In range, whatever it is; reading all of a large set would take its time,
        # and the first images tell that it is no set of masks.
        for start in range(0, len(images), 256):
            part = images[start : start + 256]
            if part.max() > 1:
                return images
    low, high = images.min(), images.max()
    check_value_range(name, low, high, (0, 255))
    check_not_unit_range(name, low, high, (0, 255))
    return images.astype("float32" if is_float else "uint8", copy=False)


def as_labels(labels, name):
    """Labels `(N,)` as int32, once they are checked."""
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
    within = np.iinfo("int32")
    low, high = (int(labels.min()), int(labels.max())) if len(labels) else (0, 0)
    if low < within.min or high > within.max:
        raise ValueError(
            f"`{name}` must number the classes 0, 1, 2, ... without gaps. Received: "
            f"labels from {low} to {high}."
        )
    return labels.astype("int32")


def check_same_length(images, labels, part):
    """Raises a ValueError unless there is a label for each image."""
    if len(images) != len(labels):
        raise ValueError(
            f"`x_{part}` and `y_{part}` must have the same length. Received: "
            f"{len(images)} images and {len(labels)} labels."
        )


def check_label_range(labels, num_classes, name, *, unknown):
    """Raises a ValueError for labels that are no class, nor unknown."""
    lowest = UNKNOWN if unknown else 0
    if len(labels) and (labels.min() < lowest or labels.max() >= num_classes):
        raise ValueError(
            f"`{name}` must lie in [0, {num_classes})"
            + (f" or be {UNKNOWN} (unknown)" if unknown else "")
            + f". Received: labels from {labels.min()} to {labels.max()}."
        )
