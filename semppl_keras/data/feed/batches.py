"""Batches of images, labels and weights: of any size, or of one."""

import collections.abc
from typing import Any, NamedTuple

import numpy as np

from semppl_keras.data.checks import ImageSpec


class Batch(NamedTuple):
    """Images and what came with each of them.

    Args:
        images: `(B, H, W, C)`.
        labels: `(B,)`, probabilities `(B, num_classes)`, or None.
        weights: `(B,)` of their losses, or None.
        numbers: `(B,)` int32, which of the source's images they are, or None where
            nobody asked, or images have no place to be found again.
    """

    images: np.ndarray
    labels: np.ndarray | None = None
    weights: np.ndarray | None = None
    numbers: np.ndarray | None = None


def weighted(
    labels: np.ndarray | None,
    weights: np.ndarray | None,
    class_weight: np.ndarray | None,
) -> np.ndarray | None:
    """Weights `(N,)` of the images' losses, None where all are 1.

    The weight of probabilities is the mean that they give of those of the classes.
    """
    if class_weight is None or labels is None:
        return weights
    of_classes = class_weight[labels] if labels.ndim == 1 else labels @ class_weight
    return of_classes if weights is None else weights * of_classes


def split(
    name: str, element: tuple[Any, ...], labelled: bool, spec: ImageSpec
) -> tuple[Any, Any, Any]:
    """(images, labels or None, weights or None) of one element or tuple of arrays."""
    if len(element) == 3 and spec.weighted:
        images, labels, weights = element
        if spec.num_classes is None:
            return images, None, None
        return images, labels, weights
    if len(element) == 2:
        images, labels = element
        return images, None if spec.num_classes is None else labels, None
    if len(element) == 1 and not labelled:
        return element[0], None, None
    wanted = "(images, labels)" if labelled else "images, or (images, labels)"
    if spec.weighted:
        wanted += ", or (images, labels, weights)"
    raise ValueError(
        f"`{name}` must hold {wanted}. Received: {len(element)} part(s) of types "
        f"{[type(part).__name__ for part in element]}."
    )


def rebatch(
    batches: collections.abc.Iterable[Batch], batch_size: int, fill: bool
) -> collections.abc.Iterator[Batch]:
    """Batches of one size out of batches of any.

    Args:
        batches: iterable of `Batch`.
        batch_size: int.
        fill: bool, whether the last batch is filled up from the beginning, which
            needs at least `batch_size` images in all.
    """
    held: list[Batch] = []
    head: list[Batch] = []
    count = 0
    for batch in batches:
        if fill and sum(len(one.images) for one in head) < batch_size:
            head.append(batch)
        held.append(batch)
        count += len(batch.images)
        if count < batch_size:
            continue
        joined = join(held)
        for start in range(0, count - batch_size + 1, batch_size):
            yield part(joined, start, start + batch_size)
        held = [part(joined, count - count % batch_size, count)]
        count %= batch_size
    if fill and count:
        yield part(join(held + head), 0, batch_size)


def join(batches: list[Batch]) -> Batch:
    if len(batches) == 1:
        return batches[0]
    return Batch._make(
        None if parts[0] is None else np.concatenate(parts)
        for parts in zip(*batches, strict=True)
    )


def part(batch: Batch, start: int, stop: int | None) -> Batch:
    """The images of a batch from one to before another."""
    return chosen(batch, slice(start, stop))


def part_of(batch: Batch, index: int, count: int) -> Batch:
    """One of `count` equal parts of a batch."""
    return chosen(batch, places(len(batch.images), index, count))


def places(batch_size: int, index: int, count: int) -> np.ndarray:
    """The places in a batch of one of `count` equal parts of it."""
    size = batch_size // count
    return np.arange(index * size, (index + 1) * size)


def chosen(batch: Batch, indices: Any) -> Batch:
    """The images of a batch at some indices."""
    return Batch._make(None if part is None else part[indices] for part in batch)
