"""Pairs unlabelled and labelled images into the batches of `fit`."""

import dataclasses
from typing import Any

import keras
import numpy as np

from semppl_keras.checks import check_integers
from semppl_keras.data.checks import ImageSpec
from semppl_keras.data.feed.array_source import ArraySource
from semppl_keras.data.feed.sources import Source, make_source
from semppl_keras.data.feed.stratified import StratifiedSource
from semppl_keras.data.feed.stream_source import StreamSource

DEFAULT_BATCH_SIZE = 96


class Feed(keras.utils.PyDataset):
    """Batches `((unlabelled, labelled), labels)` of fixed sizes.

    An epoch is one pass over the unlabelled images, its last batch filled up from
    the beginning of the pass, or so many steps of arrays as are asked for; the
    labelled ones go round beside them. From arrays,
    the batch of a step is a function of the seed and the step alone, so that a run
    that goes on from a saved model sees what an uninterrupted one would.

    Without labelled images, batches `((unlabelled,), labels)`. Without unlabelled ones,
    `((labelled,), labels)`, and an epoch is one pass over these. `labels` is a dict of
    what comes with the images: `hidden_label` of the unlabelled ones, `label` of the
    labelled ones, and of those that make the pass `weight` and, numbered, `number`.

    Args:
        unlabelled: source, or None.
        labelled: source, or None; one of the two at least.
        batch_size: int, of the images that make the pass.
        labelled_batch_size: int, of the labelled ones beside them; 0 without any.
        steps_per_epoch: int.
    """

    def __init__(
        self,
        unlabelled: Any,
        labelled: Any,
        batch_size: int,
        labelled_batch_size: int,
        steps_per_epoch: int,
    ) -> None:
        super().__init__()
        self.unlabelled = unlabelled
        self.labelled = labelled
        self.batch_size = batch_size
        self.labelled_batch_size = labelled_batch_size
        self.steps_per_epoch = steps_per_epoch
        self.passed = labelled if unlabelled is None else unlabelled
        self.beside = None if unlabelled is None else labelled
        self.has_hidden_labels = unlabelled is not None and unlabelled.has_labels
        self.has_weights = self.passed.has_weights
        self.has_numbers = self.passed.numbers is not None
        self._first_batch = 0
        self._error: Exception | None = None
        self.seek(0)

    def skip_to(self, batch: int) -> None:
        """Sets the batch of the pass with which the next `fit` begins; where it is not
        the first one, an epoch of that `fit` is the rest of the pass."""
        self._first_batch = batch

    def seek(self, step: int) -> None:
        """Sets the step of the model at which the first epoch begins."""
        self._step = step
        self._started = False

    def begin_epoch(self) -> None:
        """Told at the beginning of each epoch: a part of the batches may have to be
        sent to where they are drawn; here they are drawn where they are."""

    def take_part(self, index: int, count: int) -> None:
        """Yields of every batch one of `count` equal parts alone.

        Images that are found by their place are read of this part alone, arrays' and
        those of a PyDataset's pass; of another stream all are drawn, to come to them.
        """
        for source in (self.passed, self.beside):
            if source is not None:
                source.take_part(index, count)

    def fit_arguments(self) -> dict[str, Any]:
        """What Keras' `fit` is given."""
        return {"x": self}

    def explain(self, error: BaseException) -> BaseException | None:
        """The error in the data behind one that Keras reports, or None."""
        del error
        return self._error

    @property
    def batch_form(self) -> tuple[Any, ...]:
        """What all its batches have in common: sizes, shape and type of the images, and
        what comes with them; numbered, how many images there are."""
        source = self.passed
        sizes = self.batch_size, self.labelled_batch_size
        count = source.num_images() if self.has_numbers else None
        parts = source.has_labels, self.has_weights, count, self._label_shapes()
        return (*sizes, tuple(source.image_shape), str(source.dtype), *parts)

    def _label_shapes(self) -> list[tuple[int, ...]]:
        sources = (self.passed, self.beside)
        return [source.label_shape for source in sources if source is not None]

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All unlabelled images, all labelled ones and their labels, of a feed whose
        images are numbered."""
        return self.unlabelled.images, self.labelled.images, self.labelled.labels

    @property
    def num_batches(self) -> int:
        return self.steps_per_epoch - self._first_batch

    def __getitem__(
        self, index: int
    ) -> tuple[tuple[np.ndarray, ...], dict[str, np.ndarray]]:
        """The next batch: Keras asks for them in order."""
        del index
        try:
            if not self._started:
                self._passes = self.passed.passes(
                    self.batch_size, self._step, self._first_batch
                )
                if self.beside is not None:
                    self._stream = self.beside.stream(
                        self.labelled_batch_size, self._step
                    )
                self._started = True
            parts = [next(self._passes)]
            if self.beside is not None:
                parts.append(next(self._stream))
            x, y = self.step_data(*parts)
        except Exception as error:
            self._error = error
            raise
        return x, y

    def step_data(self, passed: Any, beside: Any = None) -> tuple[Any, dict[str, Any]]:
        """What a step gets: images of each part, and what is known of them by name.

        Args:
            passed, beside: `Batch` of each part.
        """
        named = {
            "label" if self.unlabelled is None else "hidden_label": passed.labels,
            "weight": passed.weights,
            "number": passed.numbers,
        }
        x: tuple[Any, ...] = (passed.images,)
        if beside is not None:
            x = (passed.images, beside.images)
            named["label"] = beside.labels
        return x, {name: part for name, part in named.items() if part is not None}


def make_feed(
    unlabelled: Any,
    labelled: Any,
    spec: ImageSpec,
    *,
    labels_required: bool = True,
    numbered: bool = False,
    batch_size: int | None = None,
    labelled_batch_size: int | None = None,
    images_per_class: int | None = None,
    steps_per_epoch: int | None = None,
    seed: int,
    num_replicas: int = 1,
) -> Any:
    """Checks the data of a `fit` and pairs it.

    Args:
        unlabelled: images, or (images, true labels), as `make_source` takes them.
        labelled: (images, labels), the same; or None, where labels are not required.
        spec: `ImageSpec`, what the model takes.
        labels_required: bool; where False, `labelled` may be images alone, too.
        numbered: bool, whether batches tell which of the unlabelled images they hold,
            which is for arrays alone.
        batch_size: int or None, unlabelled images per step; that of the dataset's
            own batches where None, or 96, at most as many as there are.
        labelled_batch_size: int or None, labelled images per step; that of the
            dataset's own batches where None, or a third of `batch_size`, at most
            as many as there are.
        images_per_class: int or None, see `StratifiedSource`.
        steps_per_epoch: int or None; required where the unlabelled images have no
            end. Of arrays, whose passes then run on from one epoch to the next, it may
            be any; of other images that are known to have an end it is refused, since
            they are read from their beginning in every epoch. What is of unknown length
            is counted by reading it once, or with `steps_per_epoch` not at all; so is
            what may yield batches of several sizes: a list, a tf.data.Dataset that
            does not end in `.batch(...)`, or where `batch_size` is not that of its
            batches. A PyDataset is taken at its word that only its last batch is
            smaller; where others are, nothing is left out, but an epoch is no pass.
        seed: int, of the order of arrays.
        num_replicas: int, equal parts into which every batch is divided: where a
            size is not given, it is rounded to a multiple of this.

    Returns:
        A `Feed`, or on TensorFlow a feed that stays inside tf.data where it can.

    Raises:
        ValueError, TypeError: where the data does not fit, naming the argument.
    """
    sizes = {"batch_size": batch_size, "labelled_batch_size": labelled_batch_size}
    _check_given(
        **sizes, images_per_class=images_per_class, steps_per_epoch=steps_per_epoch
    )
    _check_divisible(num_replicas, **sizes)
    source = make_source("unlabelled", unlabelled, spec, labelled=False, seed=seed)
    labelled_source: Any = None
    if labels_required or labelled is not None:
        # Weights are of what makes the pass.
        beside = dataclasses.replace(spec, weighted=False)
        labelled_source = make_source(
            "labelled", labelled, beside, labelled=labels_required, seed=seed
        )
        shapes = (source.image_shape, labelled_source.image_shape)
        if shapes[0] != shapes[1]:
            raise ValueError(
                "`unlabelled` and `labelled` must hold images of one shape. Received: "
                f"{shapes[0]} and {shapes[1]} (height, width, channels). Resize one "
                "of them."
            )
    if numbered:
        _number(source, labelled_source)
    batch_size = _batch_size(source, batch_size, steps_per_epoch, num_replicas)
    if labelled_source is None:
        labelled_batch_size = 0
    elif labelled_batch_size is None:
        # One labelled image at least for every replica, if it comes round twice.
        labelled_batch_size = _native_size(
            labelled_source, max(1, batch_size // 3), num_replicas
        )
    if images_per_class is not None:
        labelled_source = StratifiedSource(
            labelled_source, images_per_class, labelled_batch_size, seed
        )
    steps = _steps(source, batch_size, steps_per_epoch)
    feed = Feed(source, labelled_source, batch_size, labelled_batch_size, steps)
    return _on_this_backend(feed, unlabelled, labelled)


def make_labelled_feed(
    labelled: Any,
    spec: ImageSpec,
    *,
    batch_size: int | None = None,
    steps_per_epoch: int | None = None,
    class_weight: Any = None,
    seed: int,
    num_replicas: int = 1,
) -> Any:
    """Checks the data of a `fit` on labelled images alone.

    Args:
        labelled: (images, labels), or with weights, as `make_source` takes them.
        spec: `ImageSpec`, what the model takes.
        batch_size, steps_per_epoch, seed, num_replicas: as in `make_feed`, of the
            labelled images.
        class_weight: array `(num_classes,)` or None, what the losses of the images are
            weighted with, by their labels.

    Returns, Raises:
        As `make_feed`.
    """
    _check_given(batch_size=batch_size, steps_per_epoch=steps_per_epoch)
    _check_divisible(num_replicas, batch_size=batch_size)
    source = make_source(
        "x", labelled, spec, labelled=True, seed=seed, class_weight=class_weight
    )
    batch_size = _batch_size(source, batch_size, steps_per_epoch, num_replicas)
    steps = _steps(source, batch_size, steps_per_epoch)
    return _on_this_backend(Feed(None, source, batch_size, 0, steps), None, labelled)


def _on_this_backend(feed: Feed, unlabelled: Any, labelled: Any) -> Any:
    if keras.backend.backend() == "tensorflow":
        from semppl_keras.data.feed.tf_feed import TFFeed

        return TFFeed(feed, unlabelled, labelled)
    return feed


def _number(*sources: Any) -> None:
    """Numbers the images of arrays; raises a TypeError for those of datasets."""
    for source in sources:
        if not isinstance(source, ArraySource):
            raise TypeError(
                f"`{source.name}` must be arrays where labels are propagated "
                '(labeller="propagation"): all images are joined in a graph, and each '
                "is found again by its place. Received: a dataset, whose images have "
                'none. Load them as arrays, or take labeller="memory".'
            )
    sources[0].number_images()


def _check_given(**values: int | None) -> None:
    given = {name: value for name, value in values.items() if value is not None}
    check_integers(1, **given)


def _check_divisible(num_replicas: int, **sizes: Any) -> None:
    for argument, value in sizes.items():
        if value is not None and value % num_replicas:
            raise ValueError(
                f"`{argument}` must be a multiple of the {num_replicas} replicas, "
                f"which share every batch. Received: {argument}={value}. Try "
                f"{_rounded(value, num_replicas)}."
            )


def _batch_size(
    source: Any,
    batch_size: int | None,
    steps_per_epoch: int | None,
    num_replicas: int,
) -> int:
    """The images per step of the source that makes the pass."""
    if steps_per_epoch is not None and not source.length_known:
        source.repeat()
    if batch_size is None:
        return _native_size(source, DEFAULT_BATCH_SIZE, num_replicas)
    return batch_size


def _native_size(source: Any, default: int, num_replicas: int) -> int:
    """That of a dataset's own batches, or the default, at most as many as there are."""
    size = source.native_batch_size
    if size is None:
        size = default if source.endless else min(default, source.num_images())
    return _rounded(size, num_replicas)


def _steps(source: Source, batch_size: int, steps_per_epoch: int | None) -> int:
    if source.endless:
        if steps_per_epoch is None:
            raise ValueError(
                "`steps_per_epoch` must say how long an epoch is where "
                f"`{source.name}` has no end. Received: steps_per_epoch="
                f"{steps_per_epoch}."
            )
        return int(steps_per_epoch)
    if steps_per_epoch is not None and not isinstance(source, ArraySource):
        raise ValueError(
            "`steps_per_epoch` is for arrays and for images without an end: of others "
            f"an epoch is one pass. Received: steps_per_epoch={steps_per_epoch} with "
            f"finite `{source.name}`. Leave it out, or repeat the dataset."
        )
    if isinstance(source, StreamSource) and source.native_batch_size == batch_size:
        batches = source.num_equal_batches()
        if batches is not None:
            return batches
    count = source.num_images()
    if count < batch_size:
        raise ValueError(
            f"`batch_size` must be at most the number of images in `{source.name}`. "
            f"Received: batch_size={batch_size} for {count} images."
        )
    if steps_per_epoch is None:
        return int(np.ceil(count / batch_size))
    return int(steps_per_epoch)


def _rounded(size: int, num_replicas: int) -> int:
    """The multiple of the number of replicas that is next below, at least that."""
    return max(size - size % num_replicas, num_replicas)
