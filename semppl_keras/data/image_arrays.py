"""Images and labels of a data set as arrays, checked where they come in."""

from typing import Any

import numpy as np

from semppl_keras.data.checks import check_not_unit_range, check_value_range
from semppl_keras.data.images.streamed_images import StreamedImages

# A label that nobody knows. Such an image is trained on, but never counted.
UNKNOWN = -1


def as_images(images: Any, name: str) -> Any:
    """Images `(N, h, w, c)` as uint8 or float32, once they are checked; those that are
    decoded when they are asked for stay what they are."""
    if isinstance(images, StreamedImages) and len(images):
        return images
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


def as_labels(labels: Any, name: str) -> np.ndarray:
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


def check_same_length(images: np.ndarray, labels: np.ndarray, part: str) -> None:
    """Raises a ValueError unless there is a label for each image."""
    if len(images) != len(labels):
        raise ValueError(
            f"`x_{part}` and `y_{part}` must have the same length. Received: "
            f"{len(images)} images and {len(labels)} labels."
        )


def check_label_range(
    labels: np.ndarray, num_classes: int, name: str, *, unknown: bool
) -> None:
    """Raises a ValueError for labels that are no class, nor unknown."""
    lowest = UNKNOWN if unknown else 0
    if len(labels) and (labels.min() < lowest or labels.max() >= num_classes):
        raise ValueError(
            f"`{name}` must lie in [0, {num_classes})"
            + (f" or be {UNKNOWN} (unknown)" if unknown else "")
            + f". Received: labels from {labels.min()} to {labels.max()}."
        )
