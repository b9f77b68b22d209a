"""Images of which a few are labelled."""

import dataclasses
from typing import Any, Self

import keras
import numpy as np

from semppl_keras.data.image_arrays import (
    UNKNOWN,
    as_images,
    as_labels,
    check_label_range,
    check_same_length,
)
from semppl_keras.data.images.streamed_images import StreamedImages
from semppl_keras.data.images.value_ranges import ValueRanges


@dataclasses.dataclass(frozen=True, eq=False)
class FewLabels:
    """A data set of which a few training images count as labelled.

    Args:
        x_train: All training images, labelled or not: `(N, h, w, c)`, uint8 or
            float32 in [0, 255], c = 1 or 3; or `StreamedImages`, which are decoded
            when they are asked for.
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

    x_train: Any
    y_train: np.ndarray
    labelled_indices: np.ndarray
    x_test: Any
    y_test: np.ndarray | None
    num_classes: int
    class_names: tuple[str, ...]
    name: str
    remarks: tuple[str, ...] = ()
    value_ranges: ValueRanges | None = None

    def __post_init__(self) -> None:
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

    def _check(self) -> None:
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
        if self.x_test is not None and self.y_test is not None:
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
    def unlabelled_indices(self) -> np.ndarray:
        """The other indices into `x_train`, sorted."""
        return np.setdiff1d(np.arange(len(self.x_train)), self.labelled_indices)

    @property
    def x_labelled(self) -> Any:
        """The labelled images, `(n, h, w, c)`."""
        return rows_of(self.x_train, self.labelled_indices)

    @property
    def y_labelled(self) -> np.ndarray:
        """Their labels, `(n,)` int32."""
        return self.y_train[self.labelled_indices]

    @property
    def x_unlabelled(self) -> Any:
        """The images that count as unlabelled, `(N - n, h, w, c)`."""
        return rows_of(self.x_train, self.unlabelled_indices)

    @property
    def y_hidden(self) -> np.ndarray:
        """Their hidden labels, for measuring alone, `(N - n,)` int32."""
        return self.y_train[self.unlabelled_indices]

    def enlarged(self, size: int) -> Self:
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
            x_train=resized(self.x_train, shape),
            x_test=None if self.x_test is None else resized(self.x_test, shape),
        )


def rows_of(images: Any, indices: np.ndarray) -> Any:
    """The rows of sorted, distinct indices; of consecutive ones without a copy, and of
    `StreamedImages` without decoding them."""
    if isinstance(images, StreamedImages):
        return images.rows(indices)
    if len(indices) and indices[-1] - indices[0] + 1 == len(indices):
        return images[indices[0] : indices[-1] + 1]
    return images[indices]


def resized(images: np.ndarray, shape: tuple[int, int], **how: Any) -> np.ndarray:
    """Images of another size, bilinear.

    Args:
        images: `(N, h, w, c)` in [0, 255].
        shape: Height and width.
        **how: As `keras.ops.image.resize` takes it.

    Returns:
        `(N, *shape, c)` float32 in [0, 255].
    """
    chunks = [
        keras.ops.image.resize(
            images[start : start + 1024].astype("float32"),
            shape,
            interpolation="bilinear",
            data_format="channels_last",
            **how,
        )
        for start in range(0, len(images), 1024)
    ]
    resized = np.concatenate([keras.ops.convert_to_numpy(chunk) for chunk in chunks])
    # Rounding may lead out of the range by a last digit.
    return resized.clip(0, 255)
