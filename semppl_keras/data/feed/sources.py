"""Images, with labels or without, as a source of batches of a fixed size."""

import collections
import collections.abc
import concurrent.futures
import itertools
import warnings

import keras
import numpy as np

from semppl_keras.data.checks import (
    StreamBrightness,
    check_images,
    check_labels,
    check_not_unit_range,
    check_weights,
    is_wide,
    to_numpy,
)
from semppl_keras.data.feed.named_parts import named_parts


def make_source(name, data, spec, *, labelled, seed, class_weight=None):
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
        data = (data[0], *(to_numpy(part) for part in data[1:]))
    if isinstance(data, list) and len(data) == 2 and _are_images_and_labels(*data):
        raise ValueError(
            f"`{name}` is a list, which stands for a list of batches. Received: a list "
            "of images and labels. Pass a tuple: (images, labels)."
        )
    # A list of several arrays is a list of batches of images.
    of_arrays = isinstance(data, tuple) or (isinstance(data, list) and len(data) == 1)
    if of_arrays and data and all(_is_array(part) for part in data):
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


class ArraySource:
    """Images in memory; the batch of each step follows from the seed alone.

    A batch is (images, labels or None, weights or None).
    """

    endless = False
    length_known = True

    def __init__(self, name, arrays, spec, *, labelled, seed, class_weight=None):
        images, labels, weights = _split(name, arrays, labelled, spec)
        self.images = check_images(name, images, spec)
        if not len(self.images):
            raise ValueError(f"`{name}` is empty: it holds no image.")
        self.labels = None
        if labels is not None:
            labels = to_numpy(labels)
            if labels.shape[:1] != self.images.shape[:1]:
                raise ValueError(
                    f"`{name}` must hold one label per image. Received: "
                    f"{len(self.images)} images and labels of shape {labels.shape}."
                )
            self.labels = check_labels(
                name, labels, spec.num_classes, unknown_allowed=not labelled
            )
        if weights is not None:
            weights = check_weights(name, weights, len(self.images))
        self.weights = _weighted(self.labels, weights, class_weight)
        if self.weights is not None and not self.weights.any():
            raise ValueError(
                f"`{name}` must hold images that count. Received: weights that are 0 "
                f"for all {len(self.images)} of them (`sample_weight`, `class_weight`)."
            )
        self.name = name
        self.has_labels = labels is not None
        self.has_weights = self.weights is not None
        self.image_shape = self.images.shape[1:]
        self.dtype = self.images.dtype
        self.native_batch_size = None
        # What follows from the seed differs between the two sources of a fit.
        self._seed = (seed, int(name == "labelled"))
        self._orders = collections.OrderedDict()

    def num_images(self):
        """Images of one pass."""
        return len(self.images)

    def all_labels(self):
        """Labels `(N,)` of one pass."""
        return self.labels

    def passes(self, batch_size, step, first_batch=0):
        """Batches from a step on, pass after pass over all images.

        The last batch of a pass is filled up from its beginning.
        """
        # The step tells.
        del first_batch
        per_pass = -(-len(self.images) // batch_size)
        while True:
            number, index = divmod(step, per_pass)
            chosen = (index * batch_size + np.arange(batch_size)) % len(self.images)
            yield self._take(self._order(number)[chosen])
            step += 1

    def stream(self, batch_size, step):
        """Batches from a step on, one pass running into the next."""
        while True:
            position = step * batch_size + np.arange(batch_size)
            numbers, offsets = np.divmod(position, len(self.images))
            passes = zip(numbers, offsets, strict=True)
            yield self._take(np.array([self._order(n)[offset] for n, offset in passes]))
            step += 1

    def _order(self, number):
        """The order of pass `number`: a function of it and of the seed."""
        if number not in self._orders:
            generator = np.random.default_rng((*self._seed, number))
            self._orders[number] = generator.permutation(len(self.images))
            if len(self._orders) > 8:
                self._orders.popitem(last=False)
        return self._orders[number]

    def _take(self, indices):
        return _chosen((self.images, self.labels, self.weights), indices)


class StreamSource:
    """Batches, or single images, from an iterable; in the order in which they come.

    Each is checked when it is drawn, the first one at once, and where that is too dark
    to tell the range of the images, those after it. A batch is (images, labels or None,
    weights or None).
    """

    def __init__(self, name, data, spec, *, labelled, class_weight=None):
        self.name = name
        self.data = data
        self.spec = spec
        self.labelled = labelled
        self._count = None
        self._one_shot = iter(data) is data if hasattr(data, "__iter__") else False
        self._repeated = False
        self._pending = ()
        self.class_weight = class_weight
        self._brightness = StreamBrightness()
        opening = self._opening()
        if not opening:
            raise ValueError(f"`{name}` is empty: it yields no batch.")
        if self._one_shot:
            self._pending = opening
        images, labels, weights = opening[0]
        self.has_labels = labels is not None
        self.has_weights = weights is not None
        self.image_shape = images.shape[1:]
        self.dtype = images.dtype
        self.native_batch_size = len(images) if self._batched else None

    def _opening(self):
        """The first batch, and those after it up to one that is not dark."""
        opening = []
        for batch in self._pass():
            opening.append(batch)
            if self._brightness.bright or len(opening) == _MOST_DARK_BATCHES:
                return opening
            if not self.spec.value_range or not is_wide(self.spec.value_range):
                return opening
        if self._brightness.dark_images:
            # A whole pass, and none of them is bright.
            images = np.concatenate([batch[0].ravel() for batch in opening])
            check_not_unit_range(
                self.name,
                images.min(),
                images.max(),
                self.spec.value_range,
                of_views=True,
            )
        return opening

    @property
    def endless(self):
        """Whether it has no end that can be known: steps must be given."""
        if isinstance(self.data, keras.utils.PyDataset):
            return self.data.num_batches is None
        # tf.data says -1 for a dataset that repeats without end.
        cardinality = getattr(self.data, "cardinality", None)
        repeats = callable(cardinality) and int(cardinality()) == -1
        return self._one_shot or self._repeated or repeats

    def repeat(self):
        """Takes data whose length nothing tells for endless."""
        self._repeated = True

    @property
    def length_known(self):
        """Whether the length of a pass can be told without reading it."""
        return self.num_batches() is not None

    def num_images(self):
        """Images of one pass; counted by one pass where nothing else tells."""
        if self._count is None:
            self._count = self._known_count()
        if self._count is None:
            self._count = sum(len(batch[0]) for batch in self._pass())
        return self._count

    def all_labels(self):
        """Labels `(N,)` of one pass, which is read for them."""
        return np.concatenate([labels for _, labels, _ in self._pass()])

    def _known_count(self):
        if self.native_batch_size is None:
            return self.num_batches()
        # What a torch DataLoader has; one with a collate function of its own may make
        # other batches than it says.
        size = getattr(self.data, "batch_size", None)
        sampler = getattr(self.data, "sampler", None)
        if size is None or not hasattr(sampler, "__len__"):
            return None
        count = len(sampler)
        if self.native_batch_size != min(size, count):
            return None
        return count - count % size if self.data.drop_last else count

    def num_equal_batches(self):
        """Batches of one pass where it is known without one that all but the last are
        of the first one's size, else None."""
        # Of a PyDataset this is the convention.
        equal = isinstance(self.data, keras.utils.PyDataset) or _is_batched(self.data)
        return self.num_batches() if equal else None

    def num_batches(self):
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

    def passes(self, batch_size, step, first_batch=0):
        """Batches, pass after pass, of the first pass from a batch on; the step does
        not change their order.

        The last batch of a pass is filled up from its beginning.
        """
        del step
        # What has no end has no pass whose beginning was seen.
        skipped = 0 if self.endless else first_batch
        while True:
            batches = _rebatch(self._pass(), batch_size, fill=True)
            yield from itertools.islice(batches, skipped, None)
            skipped = 0

    def stream(self, batch_size, step):
        """Batches from a step on, one pass running into the next."""

        def repeated():
            skipped = 0 if self.endless or not step else self._skipped(batch_size, step)
            while True:
                for batch in self._pass():
                    if skipped < len(batch[0]):
                        yield _slice(batch, skipped, None)
                    skipped = max(0, skipped - len(batch[0]))

        yield from _rebatch(repeated(), batch_size, fill=False)

    def _skipped(self, batch_size, step):
        """Images that the steps before this one have used; whole passes of a known
        length are left out, since they leave the order as it was."""
        used = step * batch_size
        return used % self.num_images() if self.length_known else used

    def batches(self):
        """The batches of one pass, of a generator those that are left."""
        if not self._one_shot:
            yield from self._pass()
            return
        pending, self._pending = self._pending, ()
        yield from pending
        yield from self.checked(self.data)

    def _pass(self):
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

    def checked(self, elements):
        """Batches (images, labels or None, weights or None) of what the data yields."""
        for element in elements:
            element = named_parts(self.name, element)
            images, labels, weights = _split(
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
            if labels is not None:
                labels = to_numpy(labels)
                self.label_shape = labels.shape[1:]
                labels = check_labels(
                    self.name,
                    labels,
                    self.spec.num_classes,
                    unknown_allowed=not self.labelled,
                )
                if len(labels) != len(images):
                    raise ValueError(
                        f"`{self.name}` must hold one label per image. Received: a "
                        f"batch of {len(images)} images and {len(labels)} labels."
                    )
            if weights is not None:
                weights = check_weights(self.name, weights, len(images))
            weights = _weighted(labels, weights, self.class_weight)
            if len(images):
                yield images, labels, weights


# Black images at the beginning of a stream are passed over up to here.
_MOST_DARK_BATCHES = 64


def _items(dataset):
    """What a `keras.utils.PyDataset` gives in one pass, drawn ahead by as many threads
    as its `workers` ask for."""
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
        drawn = collections.deque()
        for index in indices:
            drawn.append(executor.submit(dataset.__getitem__, index))
            if len(drawn) >= max(dataset.max_queue_size, dataset.workers):
                yield drawn.popleft().result()
        while drawn:
            yield drawn.popleft().result()
    finally:
        executor.shutdown(cancel_futures=True)


def _weighted(labels, weights, class_weight):
    """Weights `(N,)` of the images' losses, None where all are 1."""
    if class_weight is None or labels is None:
        return weights
    of_classes = class_weight[labels]
    return of_classes if weights is None else weights * of_classes


def _split(name, element, labelled, spec):
    """(images, labels or None, weights or None) of one element or tuple of arrays."""
    if len(element) == 3 and spec.weighted:
        return element if spec.num_classes is not None else (element[0], None, None)
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


def _rebatch(batches, batch_size, fill):
    """Batches of one size out of batches of any.

    Args:
        batches: iterable of (images, labels or None, weights or None).
        batch_size: int.
        fill: bool, whether the last batch is filled up from the beginning, which
            needs at least `batch_size` images in all.
    """
    held, count, head = [], 0, []
    for batch in batches:
        if fill and sum(len(images) for images, *_ in head) < batch_size:
            head.append(batch)
        held.append(batch)
        count += len(batch[0])
        if count < batch_size:
            continue
        joined = _join(held)
        for start in range(0, count - batch_size + 1, batch_size):
            yield _slice(joined, start, start + batch_size)
        held = [_slice(joined, count - count % batch_size, count)]
        count %= batch_size
    if fill and count:
        yield _slice(_join(held + head), 0, batch_size)


def _join(batches):
    if len(batches) == 1:
        return batches[0]
    return tuple(
        None if parts[0] is None else np.concatenate(parts)
        for parts in zip(*batches, strict=True)
    )


def _slice(batch, start, stop):
    return _chosen(batch, slice(start, stop))


def _chosen(batch, indices):
    return tuple(None if part is None else part[indices] for part in batch)


def _is_batched(dataset):
    """Whether a tf.data.Dataset was batched last, and not changed after that."""
    spec = getattr(dataset, "element_spec", None)
    if isinstance(spec, (tuple, dict)):
        spec = named_parts("dataset", spec)[0]
    # `drop_remainder` gives all batches one size.
    if getattr(spec, "shape", None) and spec.shape[0] is not None:
        return True
    # How a dataset was made is not public: where TensorFlow no longer tells it so,
    # the images are counted.
    while type(dataset).__name__ in ("_PrefetchDataset", "_OptionsDataset"):
        (dataset,) = dataset._inputs()
    return type(dataset).__name__ in ("_BatchDataset", "_ParallelBatchDataset")


def _are_images_and_labels(images, labels):
    if not _is_array(images) or len(images.shape) != 4:
        return False
    if isinstance(labels, list):
        return bool(labels) and isinstance(labels[0], (int, np.integer))
    return _is_array(labels) and len(labels.shape) < 3


def _is_array(value):
    return (
        hasattr(value, "shape")
        and hasattr(value, "dtype")
        and len(getattr(value, "shape", ())) > 0
    )
