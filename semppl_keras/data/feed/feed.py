"""Pairs unlabelled and labelled images into the batches of `fit`."""

import keras
import numpy as np

from semppl_keras.data.feed.sources import StreamSource, make_source
from semppl_keras.data.feed.stratified import StratifiedSource

DEFAULT_BATCH_SIZE = 96


class Feed(keras.utils.PyDataset):
    """Batches `((unlabelled, labelled), labels)` of fixed sizes.

    An epoch is one pass over the unlabelled images, its last batch filled up from
    the beginning of the pass; the labelled ones go round beside them. From arrays,
    the batch of a step is a function of the seed and the step alone, so that a run
    that goes on from a saved model sees what an uninterrupted one would.

    Without labelled images, batches `((unlabelled,), labels)`. `labels` is a dict of
    what comes with the images: `hidden_label` and `label`, and `weight`, of the first.

    Args:
        unlabelled: source.
        labelled: source, or None.
        batch_size: int, B_u.
        labelled_batch_size: int, B_l; 0 without labelled images.
        steps_per_epoch: int.
    """

    def __init__(
        self, unlabelled, labelled, batch_size, labelled_batch_size, steps_per_epoch
    ):
        super().__init__()
        self.unlabelled = unlabelled
        self.labelled = labelled
        self.batch_size = batch_size
        self.labelled_batch_size = labelled_batch_size
        self.steps_per_epoch = steps_per_epoch
        self.has_hidden_labels = unlabelled.has_labels
        self.has_weights = unlabelled.has_weights
        self._part = (0, 1)
        self._first_batch = 0
        self._error = None
        self.seek(0)

    def skip_to(self, batch):
        """Sets the batch of the pass with which the next `fit` begins; where it is not
        the first one, an epoch of that `fit` is the rest of the pass."""
        self._first_batch = batch

    def seek(self, step):
        """Sets the step of the model at which the first epoch begins."""
        self._step = step
        self._started = False

    def take_part(self, index, count):
        """Yields of every batch one of `count` equal parts alone."""
        self._part = (index, count)

    def fit_arguments(self):
        """What Keras' `fit` is given."""
        return {"x": self}

    def explain(self, error):
        """The error in the data behind one that Keras reports, or None."""
        del error
        return self._error

    @property
    def batch_form(self):
        """What all its batches have in common: sizes, shape and type of the images, and
        what comes with them."""
        source = self.unlabelled
        sizes = self.batch_size, self.labelled_batch_size
        parts = self.has_hidden_labels, self.has_weights
        return (*sizes, tuple(source.image_shape), str(source.dtype), *parts)

    @property
    def num_batches(self):
        return self.steps_per_epoch - self._first_batch

    def __getitem__(self, index):
        """The next batch: Keras asks for them in order."""
        del index
        try:
            if not self._started:
                self._unlabelled_batches = self.unlabelled.passes(
                    self.batch_size, self._step, self._first_batch
                )
                if self.labelled is not None:
                    self._labelled_batches = self.labelled.stream(
                        self.labelled_batch_size, self._step
                    )
                self._started = True
            images, hidden, weights = next(self._unlabelled_batches)
            x, y = (images,), {}
            if hidden is not None:
                y["hidden_label"] = hidden
            if weights is not None:
                y["weight"] = weights
            if self.labelled is not None:
                labelled_images, labels, _ = next(self._labelled_batches)
                x = (images, labelled_images)
                if labels is not None:
                    y["label"] = labels
            x = tuple(self._own(part) for part in x)
            y = {name: self._own(values) for name, values in y.items()}
        except Exception as error:
            self._error = error
            raise
        return x, y

    def _own(self, values):
        index, count = self._part
        size = len(values) // count
        return values[index * size : (index + 1) * size]


def make_feed(
    unlabelled,
    labelled,
    spec,
    *,
    labels_required=True,
    own_labels_required=False,
    batch_size=None,
    labelled_batch_size=None,
    images_per_class=None,
    steps_per_epoch=None,
    seed,
    num_replicas=1,
    name="unlabelled",
    class_weight=None,
):
    """Checks the data of a `fit` and pairs it.

    Args:
        unlabelled: images, or (images, true labels), as `make_source` takes them.
        labelled: (images, labels), the same; or None, where labels are not required.
        spec: `ImageSpec`, what the model takes.
        labels_required: bool; where False, `labelled` may be images alone, too.
        own_labels_required: bool, whether the first images need labels, too, each of
            them known.
        batch_size: int or None, unlabelled images per step; that of the dataset's
            own batches where None, or 96, at most as many as there are.
        labelled_batch_size: int or None, labelled images per step; that of the
            dataset's own batches where None, or a third of `batch_size`, at most
            as many as there are.
        images_per_class: int or None, see `StratifiedSource`.
        steps_per_epoch: int or None; required where the unlabelled images have no
            end, refused where they are known to have one. What is of unknown length
            is counted by reading it once, or with `steps_per_epoch` not at all; so is
            what may yield batches of several sizes: a list, a tf.data.Dataset that
            does not end in `.batch(...)`, or where `batch_size` is not that of its
            batches. A PyDataset is taken at its word that only its last batch is
            smaller; where others are, nothing is left out, but an epoch is no pass.
        seed: int, of the order of arrays.
        num_replicas: int, equal parts into which every batch is divided: where a
            size is not given, it is rounded to a multiple of this.
        name: str, what `unlabelled` is called in an error.
        class_weight: array `(num_classes,)` or None, what the losses of the first
            images are weighted with, by their labels.

    Returns:
        A `Feed`, or on TensorFlow a feed that stays inside tf.data where it can.

    Raises:
        ValueError, TypeError: where the data does not fit, naming the argument.
    """
    sizes = {"batch_size": batch_size, "labelled_batch_size": labelled_batch_size}
    for argument, value in {**sizes, "images_per_class": images_per_class}.items():
        if value is not None and not _is_count(value):
            raise ValueError(
                f"`{argument}` must be a positive integer. Received: {argument}="
                f"{value}."
            )
    for argument, value in sizes.items():
        if value is not None and value % num_replicas:
            raise ValueError(
                f"`{argument}` must be a multiple of the {num_replicas} replicas, "
                f"which share every batch. Received: {argument}={value}. Try "
                f"{_rounded(value, num_replicas)}."
            )
    unlabelled_source = make_source(
        name,
        unlabelled,
        spec,
        labelled=own_labels_required,
        seed=seed,
        class_weight=class_weight,
    )
    labelled_source = None
    if labels_required or labelled is not None:
        labelled_source = make_source(
            "labelled", labelled, spec, labelled=labels_required, seed=seed
        )
        shapes = (unlabelled_source.image_shape, labelled_source.image_shape)
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"`{name}` and `labelled` must hold images of one shape. Received: "
                f"{shapes[0]} and {shapes[1]} (height, width, channels). Resize one "
                "of them."
            )
    if steps_per_epoch is not None and not unlabelled_source.length_known:
        unlabelled_source.repeat()
    if batch_size is None:
        batch_size = unlabelled_source.native_batch_size
        if batch_size is None:
            batch_size = DEFAULT_BATCH_SIZE
            if not unlabelled_source.endless:
                batch_size = min(batch_size, unlabelled_source.num_images())
        batch_size = _rounded(batch_size, num_replicas)
    if labelled_source is None:
        labelled_batch_size = 0
    elif labelled_batch_size is None:
        labelled_batch_size = labelled_source.native_batch_size
        if labelled_batch_size is None:
            labelled_batch_size = max(1, batch_size // 3)
            if not labelled_source.endless:
                labelled_batch_size = min(
                    labelled_batch_size, labelled_source.num_images()
                )
        # One labelled image at least for every replica, if it comes round twice.
        labelled_batch_size = _rounded(labelled_batch_size, num_replicas)
    if images_per_class is not None:
        labelled_source = StratifiedSource(
            labelled_source, images_per_class, labelled_batch_size, seed
        )
    steps = _steps(unlabelled_source, batch_size, steps_per_epoch)
    arguments = (
        unlabelled_source,
        labelled_source,
        batch_size,
        labelled_batch_size,
        steps,
    )
    if keras.backend.backend() == "tensorflow":
        from semppl_keras.data.feed.tf_feed import TFFeed

        return TFFeed(Feed(*arguments), unlabelled, labelled)
    return Feed(*arguments)


def _steps(source, batch_size, steps_per_epoch):
    if source.endless:
        if not _is_count(steps_per_epoch):
            raise ValueError(
                "`steps_per_epoch` must say how long an epoch is where "
                f"`{source.name}` has no end. Received: steps_per_epoch="
                f"{steps_per_epoch}."
            )
        return int(steps_per_epoch)
    if steps_per_epoch is not None:
        raise ValueError(
            "`steps_per_epoch` is for images without an end: of others an epoch is one "
            f"pass. Received: steps_per_epoch={steps_per_epoch} with finite "
            f"`{source.name}`. Leave it out, or repeat the dataset."
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
    return int(np.ceil(count / batch_size))


def _rounded(size, num_replicas):
    """The multiple of the number of replicas that is next below, at least that."""
    return max(size - size % num_replicas, num_replicas)


def _is_count(value):
    integer = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    return integer and value >= 1
