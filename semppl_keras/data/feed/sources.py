"""Images, with labels or without, as a source of batches of a fixed size."""

import collections.abc
from typing import Any

import numpy as np

from semppl_keras.data.checks import ImageSpec, to_numpy
from semppl_keras.data.feed.array_source import ArraySource
from semppl_keras.data.feed.named_parts import named_parts
from semppl_keras.data.feed.stream_source import StreamSource

Source = ArraySource | StreamSource


def make_source(
    name: str,
    data: Any,
    spec: ImageSpec,
    *,
    labelled: bool,
    seed: int,
    class_weight: np.ndarray | None = None,
) -> Source:
    """The source for whatever the user passed.

    Args:
        name: str, the argument to name in an error: "unlabelled" or "labelled".
        data: images or (images, labels) as arrays, or a dict of them; or anything
            that yields batches of these: `keras.utils.PyDataset`, torch `DataLoader`,
            `tf.data.Dataset`, a list, a generator. With weights of each image's loss
            as the third where the spec is `weighted`.
        spec: `ImageSpec`.
        labelled: bool, whether labels are required. Where they are not, they may
            be there, -1 for unknown, for a metric.
        seed: int, of the order of arrays.
        class_weight: array `(num_classes,)` that every image's weight is multiplied
            by, at its label; or None.

    Raises:
        ValueError: if the data does not fit, or is empty.
        TypeError: if it is none of these.
    """
    if data is None and labelled:
        raise ValueError(
            f"`{name}` is missing. `fit` needs both: fit(unlabelled, labelled), the "
            "second with (image, label) for the few labelled images."
        )
    if data is None:
        raise ValueError(f"`{name}` is missing: `fit` needs images to learn from.")
    if isinstance(data, collections.abc.Mapping):
        data = named_parts(name, data)
    if _is_array(data):
        data = (data,)
    if isinstance(data, tuple) and len(data) in (2, 3) and _is_array(data[0]):
        # Labels are often a plain list.
        # Weights may come without any.
        others = (None if part is None else to_numpy(part) for part in data[1:])
        data = (data[0], *others)
    if isinstance(data, list) and len(data) == 2 and _are_images_and_labels(*data):
        raise ValueError(
            f"`{name}` is a list, which stands for a list of batches. Received: a list "
            "of images and labels. Pass a tuple: (images, labels)."
        )
    if isinstance(data, tuple) and data and _is_list_of_images(data[0]):
        raise ValueError(
            f"`{name}` must hold its images as one array. Received: a list of "
            f"{len(data[0])}, each by itself. Make one: numpy.stack(images)."
        )
    # A list of several arrays is a list of batches of images.
    of_arrays = isinstance(data, tuple) or (isinstance(data, list) and len(data) == 1)
    if of_arrays and data and all(_is_array(one) for one in data if one is not None):
        return ArraySource(
            name, data, spec, labelled=labelled, seed=seed, class_weight=class_weight
        )
    if not hasattr(data, "__iter__") and not hasattr(data, "__getitem__"):
        raise TypeError(
            f"`{name}` must be an array of images, a tuple (images, labels), or "
            "something that yields batches: tf.data.Dataset, PyDataset, DataLoader. "
            f"Received: {type(data).__name__}."
        )
    return StreamSource(name, data, spec, labelled=labelled, class_weight=class_weight)


def _are_images_and_labels(images: Any, labels: Any) -> bool:
    if not _is_array(images) or len(images.shape) != 4:
        return False
    if isinstance(labels, list):
        return bool(labels) and isinstance(labels[0], (int, np.integer))
    return _is_array(labels) and len(labels.shape) < 3


def _is_list_of_images(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(_is_array(one) and len(one.shape) == 3 for one in value)
    )


def _is_array(value: Any) -> bool:
    return (
        hasattr(value, "shape")
        and hasattr(value, "dtype")
        and len(getattr(value, "shape", ())) > 0
    )
