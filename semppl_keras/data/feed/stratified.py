"""Labelled batches with several images of each of their classes."""

import collections.abc

import numpy as np

from semppl_keras.data.checks import classes_of
from semppl_keras.data.feed.array_source import ArraySource
from semppl_keras.data.feed.batches import Batch, places
from semppl_keras.data.feed.sources import Source


class StratifiedSource:
    """Batches of equally many images of some classes, out of a source of arrays.

    The classes go round in an order of their own, and within each class its images, so
    that every class comes up equally often, however many labels it has. As of any
    array, the batch of a step follows from the seed and the step alone.

    Args:
        source: the `ArraySource` of images with labels.
        images_per_class: int, images of each class of a batch.
        batch_size: int, a multiple of `images_per_class`; as many classes as this
            leaves room for are drawn for a batch.
        seed: int.

    Raises:
        TypeError: if the images come as a stream, in an order of its own.
        ValueError: if the numbers do not fit each other.
    """

    has_labels, has_weights = True, False
    numbers = None

    def __init__(
        self, source: Source | None, images_per_class: int, batch_size: int, seed: int
    ) -> None:
        if not isinstance(source, ArraySource):
            raise TypeError(
                "`images_per_class` is for `labelled` as arrays, whose images can be "
                "chosen. Received: none, or a dataset, which brings its own batches. "
                "Pass (images, labels) as arrays, or draw such batches in the dataset."
            )
        if source.labels is None:
            raise ValueError(
                "`images_per_class` needs `labelled` with labels. Received: images "
                "alone."
            )
        if images_per_class < 1 or batch_size % images_per_class:
            raise ValueError(
                "`images_per_class` must be positive and divide `labelled_batch_size`. "
                f"Received: images_per_class={images_per_class}, labelled_batch_size="
                f"{batch_size}."
            )
        labels = classes_of(source.labels)
        classes = np.unique(labels)
        self._rows = [np.flatnonzero(labels == label) for label in classes]
        self._per_class = images_per_class
        self._per_batch = batch_size // images_per_class
        if self._per_batch > len(classes):
            raise ValueError(
                "`labelled_batch_size` must have room for at most the "
                f"{len(classes)} classes of `labelled`. Received: labelled_batch_size="
                f"{batch_size} of images_per_class={images_per_class} each, "
                f"{self._per_batch} classes."
            )
        self.images, self.labels = source.images, source.labels
        self._seed = seed
        self._part = (0, 1)
        self.name = source.name
        self.label_shape = source.label_shape
        self.image_shape = source.image_shape
        self.dtype = source.dtype

    def take_part(self, index: int, count: int) -> None:
        """As `ArraySource.take_part`."""
        self._part = (index, count)

    def stream(self, batch_size: int, step: int) -> collections.abc.Iterator[Batch]:
        """Batches from a step on; `batch_size` is the one of construction."""
        per_round = len(self._rows) // self._per_batch
        while True:
            number, index = divmod(step, per_round)
            # Classes that are left over at the end of a round are others each time.
            order = self._generator(0, number).permutation(len(self._rows))
            classes = order[index * self._per_batch : (index + 1) * self._per_batch]
            rows = np.concatenate([self._of_class(number, c) for c in classes])
            rows = rows[places(batch_size, *self._part)]
            yield Batch(self.images[rows], self.labels[rows])
            step += 1

    def _of_class(self, number: int, index: int) -> np.ndarray:
        """The images of a class in round `number`: distinct ones where it has enough,
        otherwise all of them, again and again."""
        rows, wanted = self._rows[index], self._per_class
        turns = max(1, len(rows) // wanted)
        lap, turn = divmod(number, turns)
        order = self._generator(1, lap, index).permutation(rows)
        return np.resize(order[turn * wanted : (turn + 1) * wanted], wanted)

    def _generator(self, *place: int) -> np.random.Generator:
        # The third: what follows from the seed differs from the orders of the sources.
        return np.random.default_rng((self._seed, 2, *place))
