"""Images that are decoded when they are asked for as Keras' `predict` takes them."""

import collections.abc
from typing import Any

import keras
import numpy as np

from semppl_keras.data.images.streamed_images import StreamedImages

# Of Keras' `predict`, where nobody says another.
_BATCH_SIZE = 32


class StreamedBatches(keras.utils.PyDataset):
    """Batches `(images,)`, or `(images, labels, weights)` with what there is of these,
    of which the next ones are decoded while one is worked on.

    Args:
        images: `StreamedImages`.
        *beside: Arrays `(N, ...)` that go with them.
        batch_size: Integer.
    """

    def __init__(
        self, images: StreamedImages, *beside: np.ndarray, batch_size: int = _BATCH_SIZE
    ) -> None:
        super().__init__()
        self._images, self._beside = images, beside
        self._size = batch_size
        self._next: int | None = None

    @property
    def num_batches(self) -> int:
        return -(-len(self._images) // self._size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        # Keras asks for them in order, the first one once more beforehand.
        if index != self._next:
            self._batches = self._images.batches(self._picks(index), seed=None)
        self._next = index + 1
        rows, images = next(self._batches)
        return images, *(part[rows] for part in self._beside)

    def _picks(
        self, first: int
    ) -> collections.abc.Iterator[tuple[np.ndarray, np.ndarray]]:
        for index in range(first, self.num_batches):
            start = index * self._size
            rows = np.arange(start, min(start + self._size, len(self._images)))
            yield rows, np.zeros(len(rows), int)


def for_keras(images: Any, batch_size: int | None = None, *beside: Any) -> Any:
    """Images that `checked_inputs` has checked as Keras' `predict` takes them.

    Args:
        images: What it gave.
        batch_size: As `predict` takes it.
        *beside: Arrays that go with `StreamedImages`, those that are not None.

    Returns:
        `StreamedBatches` of `StreamedImages`; others as they are.
    """
    if not isinstance(images, StreamedImages):
        return images
    given = [part for part in beside if part is not None]
    return StreamedBatches(images, *given, batch_size=batch_size or _BATCH_SIZE)
