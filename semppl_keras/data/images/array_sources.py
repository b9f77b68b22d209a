"""Images of NumPy archives."""

import collections.abc
import pathlib
from typing import Any

import numpy as np

from semppl_keras.data.image_arrays import UNKNOWN, as_images, as_labels
from semppl_keras.data.images.image_list import ImageList, file_state
from semppl_keras.data.images.npz_archives import as_texts, open_npz

_KEYS = {
    "unlabelled": (("images",), ("x_train",), ("x",)),
    "labelled": (("images", "labels"), ("x_train", "y_train"), ("x", "y")),
    "test": (("x_test", "y_test"), ("images", "labels"), ("x", "y")),
}


def npz_images(text: str, role: str) -> ImageList:
    """The images of a NumPy archive.

    Args:
        text: path of the file.
        role: as `open_images` takes it.

    Raises:
        ValueError, FileNotFoundError: as `open_images`.
    """
    path = pathlib.Path(text)
    arrays, names, _ = open_npz(path, *_KEYS[role])
    first, *others = arrays.values()
    images = as_images(first, f"images of {path.name}")
    labels = others[0] if others else None
    if labels is not None:
        labels = as_texts(labels, "labels", path)
        if labels.dtype.kind != "U":
            labels = _whole(labels, f"labels of {path.name}")
        if labels.shape != images.shape[:1]:
            raise ValueError(
                f"{str(path)!r} must hold one label per image. Received: "
                f"{len(images)} images and labels of shape {labels.shape}."
            )
    source, state = f"npz:{path}", (str(path), *file_state(path))
    return ImageList(
        tuple(f"{source}[{index}]" for index in range(len(images))),
        None if labels is None else tuple(label_text(one, names) for one in labels),
        lambda: iter(images),
        lambda: tuple((*state, index) for index in range(len(images))),
        at=images.__getitem__,
        class_names=() if names is None else tuple(map(str, names)),
    )


def _whole(labels: np.ndarray, name: str) -> np.ndarray:
    """Numbers of classes; of floats too where some are missing, as no integer is."""
    if labels.dtype.kind == "f" and np.isnan(labels).any():
        numbers = np.where(np.isnan(labels), UNKNOWN, labels)
        if np.all(numbers == np.rint(numbers)):
            labels = numbers.astype("int64")
    return as_labels(labels, name)


def label_text(
    label: Any, names: np.ndarray | collections.abc.Sequence[str] | None
) -> str | None:
    """The name of the class that a number or a name stands for, None for unknown."""
    if isinstance(label, str):
        return str(label)
    if label == UNKNOWN:
        return None
    if names is None:
        return str(label)
    if 0 <= label < len(names):
        return str(names[label])
    raise ValueError(
        f"Labels must number the {len(names)} class names from 0. Received: {label}."
    )
