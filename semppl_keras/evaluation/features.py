"""Features of a whole dataset, one batch at a time."""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np

from semppl_keras.checks import check_integers
from semppl_keras.evaluation.counting import Count, Progress
from semppl_keras.evaluation.inputs import as_array, as_images, as_labels


def encode_dataset(
    encode: Callable[[Any], Any],
    data: Any,
    *,
    batch_size: int = 256,
    verbose: int = 0,
    progress: Progress | None = None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Encodes images batch by batch; only the features are held in memory.

    Args:
        encode: Takes images `(B, h, w, c)`, a NumPy array, to features `(B, F)`, an
            array or a tensor; for example `model.embed` or a `keras.Model`.
        data: Images `(N, h, w, c)` as an array or a tensor; a tuple (images, labels)
            of these; or a finite iterable of batches, each images or (images,
            labels): a `tf.data.Dataset`, a `keras.utils.PyDataset`, a torch
            `DataLoader`, a list. What a batch holds after the labels is ignored.
        batch_size: For arrays; an iterable brings its own batches.
        verbose: 1 shows a progress bar.
        progress: Function of (what is done: str, how many, of how many: None where the
            number of batches is not known).

    Returns:
        A tuple of features `(N, F)` float32, and labels `(N,)` integers or None where
        the data has none.

    Raises:
        ValueError: No images, labels for a part of the batches, features that are not
            `(B, F)`, or labels that are not integers `(B,)`.

    Example:
        >>> train, train_labels = encode_dataset(model.embed, train_dataset)
        >>> test, test_labels = encode_dataset(model.embed, (x_test, y_test))
        >>> knn_accuracy(train, train_labels, test, test_labels, k=20)
    """
    check_integers(1, batch_size=batch_size)
    batches, number = _batches(data, batch_size)
    count = Count("batches of images", number, progress, verbose=verbose, unit="batch")
    features, labels = [], []
    for batch in batches:
        images, batch_labels = _images_and_labels(batch)
        encoded = as_array(encode(images))
        if encoded.ndim != 2 or len(encoded) != len(images):
            raise ValueError(
                "`encode` must return features (B, F). Received: shape "
                f"{encoded.shape} for images of shape {images.shape}."
            )
        features.append(encoded.astype("float32"))
        if batch_labels is not None:
            labels.append(as_labels(batch_labels, "labels", len(images)))
        count.add()
    if not features:
        raise ValueError("`data` must hold at least one image. Received: none.")
    if labels and len(labels) < len(features):
        raise ValueError(
            "`data` must have labels in all batches or in none. Received: labels in "
            f"{len(labels)} of {len(features)} batches."
        )
    return np.concatenate(features), np.concatenate(labels) if labels else None


def _batches(data: Any, batch_size: int) -> tuple[Iterable[Any], int | None]:
    """The batches, and how many they are where that is known."""
    if isinstance(data, tuple):
        if len(data) != 2:
            raise ValueError(
                "`data`, if a tuple, must be (images, labels). Received: "
                f"{len(data)} entries. Pass batches as a list."
            )
        images, labels = _images(data[0]), as_array(data[1])
        labels = as_labels(labels, "labels", len(images))
        starts = range(0, len(images), batch_size)
        return (
            (images[start : start + batch_size], labels[start : start + batch_size])
            for start in starts
        ), len(starts)
    if hasattr(data, "shape"):
        images = _images(data)
        starts = range(0, len(images), batch_size)
        return (images[start : start + batch_size] for start in starts), len(starts)
    if isinstance(data, keras.utils.PyDataset):
        # Iterating over one need not end by itself.
        return (data[index] for index in range(data.num_batches)), data.num_batches
    try:
        number = len(data)
    except TypeError:
        # Generators, and datasets whose length shows at their end only.
        number = None
    return iter(data), number


def _images(images: Any) -> Any:
    return as_images(images if hasattr(images, "read_in_pieces") else as_array(images))


def _images_and_labels(batch: Any) -> tuple[np.ndarray, Any]:
    if not isinstance(batch, tuple | list):
        return as_array(batch), None
    if not batch:
        raise ValueError(
            "`data` must have batches of images or of (images, labels). Received: an "
            "empty one."
        )
    return as_array(batch[0]), batch[1] if len(batch) > 1 else None
