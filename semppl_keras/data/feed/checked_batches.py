"""Batches for Keras' `evaluate` and `predict`, checked as those of `fit` are."""

import collections.abc
import contextlib
import itertools
from typing import Any

import keras
import numpy as np

from semppl_keras.checks import check_integers
from semppl_keras.data.checks import ImageSpec, check_images
from semppl_keras.data.feed.batches import Batch
from semppl_keras.data.feed.explanations import marked
from semppl_keras.data.feed.named_parts import named_parts
from semppl_keras.data.feed.sources import make_source
from semppl_keras.data.feed.stream_source import StreamSource
from semppl_keras.data.images.streamed_images import StreamedImages


class CheckedBatches(keras.utils.PyDataset):
    """Batches `(images,)`, `(images, labels)` or `(images, labels, weights)`, checked
    when Keras asks for them.

    Args:
        source: `StreamSource`.
        num_batches: int, or None where they have no end.
    """

    def __init__(self, source: StreamSource, num_batches: int | None) -> None:
        options: tuple[str, ...] = ()
        if isinstance(source.data, keras.utils.PyDataset):
            options = ("workers", "use_multiprocessing", "max_queue_size")
        super().__init__(**{name: getattr(source.data, name) for name in options})
        self._source = source
        self._num_batches = num_batches

    @property
    def num_batches(self) -> int | None:
        return self._num_batches

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        data = self._source.data
        with _marked_errors():
            if isinstance(data, keras.utils.PyDataset):
                return _element(next(self._source.checked([data[index]])))
            # Keras asks for them in order, the first ones once more beforehand.
            if index == 0:
                self._batches = self._source.batches()
            return _element(next(self._batches))

    def on_epoch_end(self) -> None:
        if isinstance(self._source.data, keras.utils.PyDataset):
            self._source.data.on_epoch_end()


def checked_batches(
    name: str,
    data: Any,
    spec: ImageSpec,
    *,
    labelled: bool,
    once: bool = True,
    steps: int | None = None,
) -> Any:
    """A dataset of batches as Keras takes it, each checked when it is drawn.

    Args:
        name: str, the argument to name in an error.
        data: what yields batches, as `make_source` takes it.
        spec: `ImageSpec`.
        labelled: bool, whether labels are required.
        once: bool, whether it is read once. Otherwise the batches of what is of
            unknown length are counted first, and those of a generator are kept.
        steps: int or None, how many batches are read; None for all of them.

    Returns:
        `tf.data.Dataset`, `keras.utils.PyDataset` or a generator, whose errors
        `explanations.explained` tells as they are.

    Raises:
        ValueError, TypeError: if the first batch does not fit, or if all are to be
            read of what has no end.
    """
    read_once = hasattr(data, "__next__")
    if read_once and not once:
        _check_ends(name, steps is not None, data)
        data, read_once = list(itertools.islice(data, steps)), False
    source = make_source(name, data, spec, labelled=labelled, seed=0)
    if not isinstance(source, StreamSource) or source.native_batch_size is None:
        raise ValueError(
            f"`{name}` must yield batches. Received: single images. Batch the "
            "dataset: dataset.batch(64)."
        )
    _check_ends(name, read_once or steps is not None or not source.endless, data)
    if keras.backend.backend() == "tensorflow" and hasattr(data, "element_spec"):
        from semppl_keras.data.feed.tf_checked import checked_dataset

        return checked_dataset(data, source)
    count = source.num_batches()
    if count is None and once:
        return _generated(source)
    if count is None and not source.endless:
        count = sum(1 for _ in source.batches())
    return CheckedBatches(source, count)


def checked_inputs(
    name: str,
    images: Any,
    views: Any,
    channels: int,
    num_classes: int | None = None,
    once: bool = True,
    steps: int | None = None,
    soft_labels: bool = False,
) -> Any:
    """Images as Keras' `predict` and `evaluate` take them, an array or a dataset.

    Args:
        name: str, the argument to name in an error.
        images: an array `(N, H, W, C)` of images of any size, `StreamedImages`, which
            stay what they are, or what yields batches.
        views: `MultiCrop`, whose `value_range` the images have.
        channels: int, of the backbone's images.
        num_classes: int where a dataset must come with labels, else None.
        once, steps: bool and int or None, see `checked_batches`.
        soft_labels: bool, whether these may be probabilities.

    Raises:
        ValueError, TypeError: if they do not fit.
    """
    _check_steps(steps)
    spec = _spec(views, channels, num_classes, soft_labels)
    if isinstance(images, collections.abc.Mapping) and num_classes is None:
        images = named_parts(name, images)[0]
    if hasattr(images, "shape") and hasattr(images, "dtype"):
        if num_classes is not None:
            raise ValueError(
                f"`{name}` must come with labels. Received: an array of images alone."
            )
        images = check_images(name, images, spec)
        if not isinstance(images, StreamedImages):
            images = images[..., :channels]
        if not len(images):
            raise ValueError(f"`{name}` is empty: it holds no image.")
        return images
    if images is None or isinstance(images, (tuple, list, dict)):
        remedy = ""
        if isinstance(images, (tuple, list)):
            remedy = " Of a list of images make one array: numpy.stack(images)."
        raise TypeError(
            f"`{name}` must be an array of images or a dataset of batches. "
            f"Received: {type(images).__name__}.{remedy}"
        )
    labelled = num_classes is not None
    return checked_batches(
        name, images, spec, labelled=labelled, once=once, steps=steps
    )


def check_opening(
    name: str,
    images: Any,
    views: Any,
    channels: int,
    *,
    to_end: bool = False,
    steps: int | None = None,
) -> None:
    """Checks an array of images, or the first batches of what can be read again.

    Args:
        name, images, views, channels: as for `checked_inputs`; labels and weights that
            come with the images are not looked at.
        to_end: bool, whether they are read to their end.
        steps: int or None, how many batches are read in the place of that.

    Raises:
        ValueError, TypeError: if they do not fit, or have no end where they are read
            to it.
    """
    _check_steps(steps)
    if images is not None and not hasattr(images, "__next__"):
        spec = _spec(views, channels)
        source = make_source(name, images, spec, labelled=False, seed=0)
        ends = not to_end or steps is not None or not source.endless
        _check_ends(name, ends, images)


def _check_steps(steps: int | None) -> None:
    if steps is not None:
        check_integers(1, steps=steps)


def _check_ends(name: str, ends: bool, data: Any) -> None:
    if not ends:
        raise ValueError(
            f"`{name}` must come to an end, or `steps` (`validation_steps` of `fit`) "
            f"say how many of its batches are read. Received: {type(data).__name__}, "
            "which has no end that is known before it comes."
        )


def _spec(
    views: Any,
    channels: int,
    num_classes: int | None = None,
    soft_labels: bool = False,
) -> ImageSpec:
    masked = views.background_removal > 0
    return ImageSpec(
        num_classes,
        (channels + 1, channels) if masked else (channels,),
        value_range=views.value_range,
        # Any size will do: it is resized to a large view's.
        one_size=False,
        weighted=True,
        cached=views.cached,
        soft_labels=soft_labels,
    )


def _generated(
    source: StreamSource,
) -> collections.abc.Iterator[tuple[np.ndarray, ...]]:
    with _marked_errors():
        for batch in source.batches():
            yield _element(batch)


def _element(batch: Batch) -> tuple[np.ndarray, ...]:
    if keras.backend.backend() == "tensorflow":
        # Where several workers evaluate, TensorFlow computes in the memory of the
        # arrays that it is given, and they may be the user's.
        batch = batch._replace(images=batch.images.copy())
    return tuple(part for part in batch if part is not None)


@contextlib.contextmanager
def _marked_errors() -> collections.abc.Iterator[None]:
    """Marks what TensorFlow, which draws in threads of its own, hides in its text."""
    try:
        yield
    except ValueError as error:
        if keras.backend.backend() != "tensorflow":
            raise
        raise ValueError(marked(str(error))) from error
