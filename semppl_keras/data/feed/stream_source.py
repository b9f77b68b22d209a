"""Anything that yields batches, or single images, as a source of checked ones."""

import collections
import collections.abc
import concurrent.futures
import itertools
import warnings
from typing import Any

import keras
import numpy as np

from semppl_keras.data.checks import (
    ImageSpec,
    StreamBrightness,
    check_images,
    check_labels,
    check_not_unit_range,
    check_targets,
    check_weights,
    is_wide,
    to_numpy,
)
from semppl_keras.data.feed.batches import (
    Batch,
    part,
    part_of,
    places,
    rebatch,
    split,
    weighted,
)
from semppl_keras.data.feed.named_parts import named_parts
from semppl_keras.data.feed.placed_batches import placed_batches

# Black images at the beginning of a stream are passed over up to here.
_MOST_DARK_BATCHES = 64


class StreamSource:
    """Batches, or single images, from an iterable; in the order in which they come.

    Each is checked when it is drawn, the first one at once, and where that is too dark
    to tell the range of the images, those after it.
    """

    # Images of a stream have no place to be found again.
    numbers = None

    def __init__(
        self,
        name: str,
        data: Any,
        spec: ImageSpec,
        *,
        labelled: bool,
        class_weight: np.ndarray | None = None,
    ) -> None:
        self.name = name
        self.data = data
        self.spec = spec
        self.labelled = labelled
        self._count: int | None = None
        self._one_shot = iter(data) is data if hasattr(data, "__iter__") else False
        self._repeated = False
        self._pending: collections.abc.Sequence[Batch] = ()
        self.class_weight = class_weight
        self._brightness = StreamBrightness()
        self._part = (0, 1)
        opening = self._opening()
        if not opening:
            raise ValueError(f"`{name}` is empty: it yields no batch.")
        if self._one_shot:
            self._pending = opening
        first = opening[0]
        self.has_labels = first.labels is not None
        self.label_shape = () if first.labels is None else first.labels.shape[1:]
        self.has_weights = first.weights is not None
        self.image_shape = first.images.shape[1:]
        self.dtype = first.images.dtype
        self.native_batch_size = len(first.images) if self._batched else None

    def _opening(self) -> list[Batch]:
        """The first batch, and those after it up to one that is not dark."""
        opening: list[Batch] = []
        for batch in self._pass():
            opening.append(batch)
            if self._brightness.bright or len(opening) == _MOST_DARK_BATCHES:
                return opening
            if not self.spec.value_range or not is_wide(self.spec.value_range):
                return opening
        if self._brightness.dark_images and self.spec.value_range:
            # A whole pass, and none of them is bright.
            images = np.concatenate([batch.images.ravel() for batch in opening])
            check_not_unit_range(
                self.name,
                images.min(),
                images.max(),
                self.spec.value_range,
                of_views=True,
            )
        return opening

    @property
    def endless(self) -> bool:
        """Whether it has no end that can be known: steps must be given."""
        if isinstance(self.data, keras.utils.PyDataset):
            return self.data.num_batches is None
        # tf.data says -1 for a dataset that repeats without end.
        cardinality = getattr(self.data, "cardinality", None)
        repeats = callable(cardinality) and int(cardinality()) == -1
        return self._one_shot or self._repeated or repeats

    def repeat(self) -> None:
        """Takes data whose length nothing tells for endless."""
        self._repeated = True

    @property
    def length_known(self) -> bool:
        """Whether the length of a pass can be told without reading it."""
        return self.num_batches() is not None

    def num_images(self) -> int:
        """Images of one pass; counted by one pass where nothing else tells."""
        if self._count is None:
            self._count = self._known_count()
        if self._count is None:
            self._count = sum(len(batch.images) for batch in self._pass())
        return self._count

    def all_labels(self) -> np.ndarray:
        """Labels of one pass, `(N,)` or `(N, num_classes)`, which is read for them."""
        return np.concatenate([batch.labels for batch in self._pass()])

    def _known_count(self) -> int | None:
        if self.native_batch_size is None:
            return self.num_batches()
        if self._has_places():
            # Only its last batch may be smaller.
            last = self.data.num_batches - 1
            (batch,) = self.checked([self.data[last]])
            return last * self.native_batch_size + len(batch.images)
        # What a torch DataLoader has; one with a collate function of its own may make
        # other batches than it says.
        size = getattr(self.data, "batch_size", None)
        sampler = getattr(self.data, "sampler", None)
        if size is None or sampler is None or not hasattr(sampler, "__len__"):
            return None
        count = len(sampler)
        if self.native_batch_size != min(size, count):
            return None
        return count - count % size if self.data.drop_last else count

    def num_equal_batches(self) -> int | None:
        """Batches of one pass where it is known without one that all but the last are
        of the first one's size, else None."""
        # Of a PyDataset this is the convention.
        equal = isinstance(self.data, keras.utils.PyDataset) or _is_batched(self.data)
        return self.num_batches() if equal else None

    def num_batches(self) -> int | None:
        """Batches of one pass where that is known without one, else None."""
        if isinstance(self.data, keras.utils.PyDataset):
            return self.data.num_batches
        cardinality = getattr(self.data, "cardinality", None)
        if callable(cardinality):
            return int(cardinality()) if int(cardinality()) >= 0 else None
        try:
            return len(self.data)
        except TypeError:
            return None

    def take_part(self, index: int, count: int) -> None:
        """Yields of every batch one of `count` equal parts alone.

        Of the passes of a PyDataset only the batches with images of it are asked for.
        """
        self._part = (index, count)

    def passes(
        self, batch_size: int, step: int, first_batch: int = 0
    ) -> collections.abc.Iterator[Batch]:
        """Batches, pass after pass, of the first pass from a batch on; the step does
        not change their order.

        The last batch of a pass is filled up from its beginning.
        """
        del step
        # What has no end has no pass whose beginning was seen.
        skipped = 0 if self.endless else first_batch
        while True:
            if self._has_places():
                yield from self._own_pass(self.data, batch_size, skipped)
            else:
                batches = rebatch(self._pass(), batch_size, fill=True)
                for batch in itertools.islice(batches, skipped, None):
                    yield part_of(batch, *self._part)
            skipped = 0

    def stream(self, batch_size: int, step: int) -> collections.abc.Iterator[Batch]:
        """Batches from a step on, one pass running into the next."""

        def repeated() -> collections.abc.Iterator[Batch]:
            skipped = 0 if self.endless or not step else self._skipped(batch_size, step)
            while True:
                for batch in self._pass():
                    if skipped < len(batch[0]):
                        yield part(batch, skipped, None)
                    skipped = max(0, skipped - len(batch[0]))

        for batch in rebatch(repeated(), batch_size, fill=False):
            yield part_of(batch, *self._part)

    def _has_places(self) -> bool:
        """Whether a part is found without drawing the images of the others."""
        return (
            self._part[1] > 1
            and isinstance(self.data, keras.utils.PyDataset)
            and not self.endless
        )

    def _own_pass(
        self, dataset: keras.utils.PyDataset, batch_size: int, first_batch: int
    ) -> collections.abc.Iterator[Batch]:
        """The part of each batch of one pass, of what a PyDataset gives by number."""
        steps = range(first_batch, -(-self.num_images() // batch_size))
        own = places(batch_size, *self._part)
        yield from placed_batches(
            (step * batch_size + own for step in steps),
            self.num_images(),
            self.native_batch_size or 1,
            lambda numbers: self.checked(_items(dataset, numbers)),
            self.name,
        )
        dataset.on_epoch_end()

    def _skipped(self, batch_size: int, step: int) -> int:
        """Images that the steps before this one have used; whole passes of a known
        length are left out, since they leave the order as it was."""
        used = step * batch_size
        return used % self.num_images() if self.length_known else used

    def batches(self) -> collections.abc.Iterator[Batch]:
        """The batches of one pass, of a generator those that are left."""
        if not self._one_shot:
            yield from self._pass()
            return
        pending, self._pending = self._pending, ()
        yield from pending
        yield from self.checked(self.data)

    def _pass(self) -> collections.abc.Iterator[Batch]:
        if self._one_shot:
            yield from self.batches()
            if hasattr(self, "has_labels"):
                raise ValueError(
                    f"`{self.name}` is a generator that has come to its end, and "
                    "cannot be started again. Pass a list of batches or a dataset."
                )
        elif isinstance(self.data, keras.utils.PyDataset):
            yield from self.checked(_items(self.data))
            self.data.on_epoch_end()
        else:
            yield from self.checked(self.data)

    def checked(
        self, elements: collections.abc.Iterable[Any]
    ) -> collections.abc.Iterator[Batch]:
        """Batches of what the data yields."""
        for element in elements:
            element = named_parts(self.name, element)
            images, labels, weights = split(
                self.name, element, self.labelled, self.spec
            )
            images = to_numpy(images)
            self._batched = images.ndim != 3
            if not self._batched:
                images = images[None]
                labels = None if labels is None else to_numpy(labels)[None]
                weights = None if weights is None else to_numpy(weights)[None]
            images = check_images(self.name, images, self.spec, stream=self._brightness)
            shape = images.shape[1:]
            if self.spec.one_size and shape != getattr(self, "image_shape", shape):
                raise ValueError(
                    f"`{self.name}` must hold images of one shape. Received: "
                    f"{self.image_shape} first, then {images.shape[1:]}."
                )
            if labels is not None and self.spec.num_classes is not None:
                labels = self._checked_labels(to_numpy(labels))
                if len(labels) != len(images):
                    raise ValueError(
                        f"`{self.name}` must hold one label per image. Received: a "
                        f"batch of {len(images)} images and {len(labels)} labels."
                    )
            if weights is not None:
                weights = check_weights(self.name, weights, len(images))
            weights = weighted(labels, weights, self.class_weight)
            if len(images):
                yield Batch(images, labels, weights)

    def _checked_labels(self, labels: np.ndarray) -> np.ndarray:
        self.given_label_shape = labels.shape[1:]
        assert self.spec.num_classes is not None
        if not (self.labelled and self.spec.soft_labels):
            return check_labels(
                self.name,
                labels,
                self.spec.num_classes,
                unknown_allowed=not self.labelled,
            )
        labels = check_targets(self.name, labels, self.spec.num_classes)
        if labels.shape[1:] != getattr(self, "label_shape", labels.shape[1:]):
            raise ValueError(
                f"`{self.name}` must yield labels or probabilities, in all batches the "
                "same. Received: first one of them, then the other."
            )
        return labels


def _items(
    dataset: keras.utils.PyDataset,
    indices: collections.abc.Iterable[int] | None = None,
) -> collections.abc.Iterator[Any]:
    """What a `keras.utils.PyDataset` gives in one pass, or at some indices, drawn ahead
    by as many threads as its `workers` ask for."""
    if indices is None:
        count = dataset.num_batches
        indices = itertools.count() if count is None else range(count)
    if dataset.use_multiprocessing:
        warnings.warn(
            f"{type(dataset).__name__}(use_multiprocessing=True): `fit` draws its "
            f"batches in {max(dataset.workers, 1)} thread(s) rather than processes.",
            stacklevel=2,
        )
    if dataset.workers < 2:
        yield from map(dataset.__getitem__, indices)
        return
    executor = concurrent.futures.ThreadPoolExecutor(dataset.workers)
    try:
        drawn: collections.deque[concurrent.futures.Future[Any]] = collections.deque()
        for index in indices:
            drawn.append(executor.submit(dataset.__getitem__, index))
            if len(drawn) >= max(dataset.max_queue_size, dataset.workers):
                yield drawn.popleft().result()
        while drawn:
            yield drawn.popleft().result()
    finally:
        executor.shutdown(cancel_futures=True)


def _is_batched(dataset: Any) -> bool:
    """Whether a tf.data.Dataset was batched last, and not changed after that."""
    spec = getattr(dataset, "element_spec", None)
    if isinstance(spec, (tuple, dict)):
        spec = named_parts("dataset", spec)[0]
    # `drop_remainder` gives all batches one size.
    shape = getattr(spec, "shape", None)
    if shape and shape[0] is not None:
        return True
    # How a dataset was made is not public: where TensorFlow no longer tells it so,
    # the images are counted.
    while type(dataset).__name__ in ("_PrefetchDataset", "_OptionsDataset"):
        (dataset,) = dataset._inputs()
    return type(dataset).__name__ in ("_BatchDataset", "_ParallelBatchDataset")
