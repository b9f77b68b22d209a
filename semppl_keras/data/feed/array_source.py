"""Images that are found by their place as a source of batches."""

import collections
import collections.abc
from typing import Any

import numpy as np

from semppl_keras.data.checks import (
    ImageSpec,
    check_images,
    check_labels,
    check_targets,
    check_weights,
    to_numpy,
)
from semppl_keras.data.feed.batches import Batch, places, split, weighted
from semppl_keras.data.images.streamed_images import StreamedImages

# The rows of a batch, and for each how often all images have come up before.
Pick = tuple[np.ndarray, np.ndarray]


class ArraySource:
    """Images in memory, or such as are decoded when they are asked for; the batch of
    each step follows from the seed alone.

    Attributes:
        numbers: `(N,)` int32, what each image is found again by, or None, where its
            batches are to have none.
    """

    endless = False
    length_known = True

    def __init__(
        self,
        name: str,
        arrays: tuple[Any, ...] | list[Any],
        spec: ImageSpec,
        *,
        labelled: bool,
        seed: int,
        class_weight: np.ndarray | None = None,
    ) -> None:
        images, labels, weights = split(name, tuple(arrays), labelled, spec)
        self.images = check_images(name, images, spec)
        if not len(self.images):
            raise ValueError(f"`{name}` is empty: it holds no image.")
        self.labels: np.ndarray | None = None
        if labels is not None and spec.num_classes is not None:
            labels = to_numpy(labels)
            if labels.shape[:1] != self.images.shape[:1]:
                raise ValueError(
                    f"`{name}` must hold one label per image. Received: "
                    f"{len(self.images)} images and labels of shape {labels.shape}."
                )
            if labelled and spec.soft_labels:
                self.labels = check_targets(name, labels, spec.num_classes)
            else:
                self.labels = check_labels(
                    name, labels, spec.num_classes, unknown_allowed=not labelled
                )
        if weights is not None:
            weights = check_weights(name, weights, len(self.images))
        self.weights = weighted(self.labels, weights, class_weight)
        if self.weights is not None and not self.weights.any():
            raise ValueError(
                f"`{name}` must hold images that count. Received: weights that are 0 "
                f"for all {len(self.images)} of them (`sample_weight`, `class_weight`)."
            )
        self.numbers: np.ndarray | None = None
        self.name = name
        self.has_labels = labels is not None
        self.label_shape = () if self.labels is None else self.labels.shape[1:]
        self.has_weights = self.weights is not None
        self.image_shape = self.images.shape[1:]
        self.dtype = self.images.dtype
        self.native_batch_size: int | None = None
        self._part = (0, 1)
        # What follows from the seed differs between the two sources of a fit.
        self._seed = (seed, int(name == "labelled"))
        self._orders: collections.OrderedDict[int, np.ndarray] = (
            collections.OrderedDict()
        )

    def number_images(self) -> None:
        """Lets batches tell which of the images they hold."""
        self.numbers = np.arange(len(self.images), dtype="int32")

    def take_part(self, index: int, count: int) -> None:
        """Reads and yields of every batch one of `count` equal parts alone."""
        self._part = (index, count)

    def num_images(self) -> int:
        """Images of one pass."""
        return len(self.images)

    def all_labels(self) -> np.ndarray:
        """Labels of one pass, `(N,)` or `(N, num_classes)`; of a source with labels."""
        assert self.labels is not None
        return self.labels

    def passes(
        self, batch_size: int, step: int, first_batch: int = 0
    ) -> collections.abc.Iterator[Batch]:
        """Batches from a step on, pass after pass over all images.

        The last batch of a pass is filled up from its beginning.
        """
        # The step tells.
        del first_batch
        return self._batches(self._picks_of_passes(batch_size, step))

    def stream(self, batch_size: int, step: int) -> collections.abc.Iterator[Batch]:
        """Batches from a step on, one pass running into the next."""
        return self._batches(self._picks_of_stream(batch_size, step))

    def _picks_of_passes(
        self, batch_size: int, step: int
    ) -> collections.abc.Iterator[Pick]:
        per_pass = -(-len(self.images) // batch_size)
        while True:
            number, index = divmod(step, per_pass)
            own = index * batch_size + places(batch_size, *self._part)
            chosen = own % len(self.images)
            yield self._order(number)[chosen], np.full(len(chosen), number)
            step += 1

    def _picks_of_stream(
        self, batch_size: int, step: int
    ) -> collections.abc.Iterator[Pick]:
        while True:
            position = step * batch_size + places(batch_size, *self._part)
            numbers, offsets = np.divmod(position, len(self.images))
            passes = zip(numbers, offsets, strict=True)
            yield np.array([self._order(n)[offset] for n, offset in passes]), numbers
            step += 1

    def _order(self, number: int) -> np.ndarray:
        """The order of pass `number`: a function of it and of the seed."""
        if number not in self._orders:
            generator = np.random.default_rng((*self._seed, number))
            self._orders[number] = generator.permutation(len(self.images))
            if len(self._orders) > 8:
                self._orders.popitem(last=False)
        return self._orders[number]

    def _batches(
        self, picks: collections.abc.Iterator[Pick]
    ) -> collections.abc.Iterator[Batch]:
        if isinstance(self.images, StreamedImages):
            pairs = self.images.batches(picks, self._seed[0])
        else:
            pairs = ((rows, self.images[rows]) for rows, _ in picks)
        beside = (self.labels, self.weights, self.numbers)
        for rows, images in pairs:
            parts = (None if part is None else part[rows] for part in beside)
            yield Batch(images, *parts)
