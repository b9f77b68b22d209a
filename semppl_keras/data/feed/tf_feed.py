"""The feed on TensorFlow: a tf.data pipeline of static shapes."""

import collections.abc
from typing import Any

import tensorflow as tf

from semppl_keras.data.checks import BRIGHT, SUM_TOLERANCE, is_wide, passed_range
from semppl_keras.data.feed.batches import Batch
from semppl_keras.data.feed.explanations import explanation_of, marked
from semppl_keras.data.feed.feed import Feed
from semppl_keras.data.feed.named_parts import named_parts
from semppl_keras.data.feed.stream_source import StreamSource


class TFFeed:
    """A feed whose images stay inside tf.data where they come from it.

    Args:
        feed: `Feed`, which has checked the data.
        unlabelled, labelled: what the user passed.
    """

    def __init__(self, feed: Feed, unlabelled: Any, labelled: Any) -> None:
        self._feed = feed
        self.batch_size = feed.batch_size
        self.labelled_batch_size = feed.labelled_batch_size
        self.steps_per_epoch = feed.steps_per_epoch
        self.has_hidden_labels = feed.has_hidden_labels
        self.has_weights = feed.has_weights
        self.batch_form = feed.batch_form
        self._data = (unlabelled, labelled)
        self._step = 0
        self._error: Exception | None = None
        self.skip_to(0)

    def skip_to(self, batch: int) -> None:
        """As `Feed.skip_to`."""
        self._first_batch = batch
        unlabelled, labelled = self._data
        feed = self._feed
        passed = labelled if feed.unlabelled is None else unlabelled
        parts = [self._passes(feed.passed, passed)]
        if feed.beside is not None:
            parts.append(self._stream(feed.beside, labelled))
        # Of a tuple: a single dataset is not zipped otherwise.
        batches = tf.data.Dataset.zip(tuple(parts))
        self._dataset = batches.map(self._as_step_data).prefetch(2)
        if not any(isinstance(d, tf.data.Dataset) for d in self._data):
            # Nothing is left to tune, and the thread that does it may sleep up to a
            # minute before it lets `fit` return.
            options = tf.data.Options()
            options.autotune.enabled = False
            self._dataset = self._dataset.with_options(options)

    def seek(self, step: int) -> None:
        """Sets the step of the model at which the first epoch begins."""
        self._step = step

    def fit_arguments(self) -> dict[str, Any]:
        """What Keras' `fit` is given."""
        # One iterator serves all epochs: the labelled images go round across them.
        steps = self.steps_per_epoch - self._first_batch
        return {"x": self._dataset, "steps_per_epoch": steps}

    def divided_arguments(self, strategy: Any) -> dict[str, Any]:
        """The same for a `tf.distribute.Strategy`, of whose replicas each gets an equal
        part of every batch."""
        dataset = strategy.distribute_datasets_from_function(self._parts)
        return {**self.fit_arguments(), "x": dataset}

    def _parts(self, context: Any) -> Any:
        """The parts of one worker's replicas, which draw them in turn."""
        replicas = context.num_replicas_in_sync
        workers = context.num_input_pipelines
        own = replicas // workers
        first = context.input_pipeline_id * own

        def own_parts(values: Any) -> Any:
            shape = (replicas, values.shape[0] // replicas, *values.shape[1:])
            return tf.reshape(values, shape)[first : first + own]

        def divided(*batch: Any) -> Any:
            parts = tf.nest.map_structure(own_parts, batch)
            return tf.data.Dataset.from_tensor_slices(parts)

        # Every worker reads the same batches, so that the order is that of one.
        parts = self._dataset.flat_map(divided).prefetch(2 * own)
        # Without an end: where there might be one, several workers are given batches
        # of unknown sizes.
        parts = parts.apply(
            tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
        )
        options = tf.data.Options()
        options.experimental_distribute.auto_shard_policy = (
            tf.data.experimental.AutoShardPolicy.OFF
        )
        return parts.with_options(options)

    def _first_step(self) -> collections.abc.Iterator[int]:
        # Known when the pipeline is first drawn from, after a callback may have
        # restored the model.
        yield self._step

    def arrays(self) -> tuple[Any, Any, Any]:
        """As `Feed.arrays`."""
        return self._feed.arrays()

    def explain(self, error: BaseException) -> BaseException | None:
        """The error in the data behind one that Keras reports, or None."""
        return explanation_of(error) or self._error

    def _passes(self, source: Any, data: Any) -> Any:
        size = self.batch_size
        if not isinstance(data, tf.data.Dataset):
            return self._generated(
                source,
                size,
                lambda: source.passes(size, self._step, self._first_batch),
            )
        dataset = checked_dataset(data, source)
        if source.endless:
            return self._rebatched(dataset.repeat(), source, size)
        # The last batch of a pass is filled up from its beginning.
        if source.native_batch_size is None:
            head = dataset.take(size)
        else:
            head = dataset.unbatch().take(size).batch(size)
        dataset = dataset.concatenate(head)
        dataset = self._rebatched(dataset, source, size)
        passes = dataset.take(self.steps_per_epoch).repeat()
        return passes.skip(self._first_batch) if self._first_batch else passes

    def _stream(self, source: Any, data: Any) -> Any:
        size = self.labelled_batch_size
        if not isinstance(data, tf.data.Dataset):
            return self._generated(
                source, size, lambda: source.stream(size, self._step)
            )
        dataset = checked_dataset(data, source)
        if source.endless:
            return self._rebatched(dataset, source, size)
        if source.native_batch_size is not None:
            dataset = dataset.unbatch()
        # Whole passes leave the order as it was: only the rest is to be skipped.
        count = source.num_images() if source.length_known else tf.int64.max
        first_step = tf.data.Dataset.from_generator(
            self._first_step, output_signature=tf.TensorSpec((), tf.int64)
        )
        return first_step.flat_map(
            lambda step: (
                dataset.repeat()
                .skip(step * size % count)
                .batch(size, drop_remainder=True)
            )
        )

    def _rebatched(self, dataset: Any, source: Any, size: int) -> Any:
        if source.native_batch_size is None:
            return dataset.batch(size, drop_remainder=True)
        return dataset.rebatch(size, drop_remainder=True)

    def _generated(
        self,
        source: Any,
        size: int,
        batches: collections.abc.Callable[[], collections.abc.Iterator[Batch]],
    ) -> Any:
        """A dataset of the batches that a source makes in Python."""
        signature = [tf.TensorSpec((size, *source.image_shape), source.dtype)]
        if source.has_labels:
            dtype = tf.float32 if source.label_shape else tf.int32
            signature.append(tf.TensorSpec((size, *source.label_shape), dtype))
        if source.has_weights:
            signature.append(tf.TensorSpec((size,), tf.float32))
        if source.numbers is not None:
            signature.append(tf.TensorSpec((size,), tf.int32))

        def generate() -> collections.abc.Iterator[tuple[Any, ...]]:
            try:
                for batch in batches():
                    yield tuple(part for part in batch if part is not None)
            except Exception as error:
                self._error = error
                raise

        return tf.data.Dataset.from_generator(
            generate, output_signature=tuple(signature)
        )

    def _as_step_data(
        self, passed: Any, beside: Any = None
    ) -> tuple[Any, dict[str, Any]]:
        feed = self._feed
        labels = passed[1] if feed.passed.has_labels else None
        weights = passed[1 + feed.passed.has_labels] if self.has_weights else None
        numbers = passed[-1] if feed.has_numbers else None
        if feed.beside is not None:
            beside = Batch(beside[0], beside[1] if feed.beside.has_labels else None)
        return feed.step_data(Batch(passed[0], labels, weights, numbers), beside)


def checked_dataset(dataset: Any, source: StreamSource) -> Any:
    """Elements (images,), (images, labels int32) or (images, labels, weights float32),
    checked as they pass; probabilities for labels are float32.

    Args:
        dataset: `tf.data.Dataset`.
        source: `StreamSource` of it, which has checked its first element.
    """
    batch = () if source.native_batch_size is None else (None,)
    spec, name = source.spec, source.name
    size = source.image_shape[:2] if spec.one_size else (None, None)

    def check(*element: Any) -> tuple[Any, ...]:
        parts = named_parts(name, element if len(element) > 1 else element[0])
        images, labels, weights = (*parts, None, None)[:3]
        like_first = tf.shape(images)[-3:] == source.image_shape
        if spec.one_size:
            message = (
                f"`{name}` must hold images of one shape. Received: another one after "
                f"{tuple(source.image_shape)}."
            )
        else:
            like_first = like_first[-1]
            message = (
                f"`{name}` must hold images with as many channels as the first. "
                f"Received: others than {source.image_shape[-1]}."
            )
        images = _where(tf.reduce_all(like_first), message, images)
        images.set_shape((*batch, *size, source.image_shape[-1]))
        if images.dtype.is_floating:
            message = f"`{name}` must hold finite images. Received: NaN."
            finite = tf.reduce_all(tf.math.is_finite(images))
            images = _where(finite, message, images)
        if spec.value_range:
            images = _within(spec.value_range, name, images, several=bool(batch))
        if labels is None or spec.num_classes is None:
            return (images,)
        labels = tf.ensure_shape(labels, (*batch, *source.given_label_shape))
        if source.label_shape:
            labels = _probabilities(labels, name)
            if not source.has_weights:
                return images, labels
            return images, labels, _weighted(labels, weights, source)
        if labels.shape.rank == len(batch) + 1:
            if labels.shape[-1] == 1:
                labels = tf.squeeze(labels, -1)
            else:
                labels = _indices_of_one_hot(labels, name)
        least = 0 if source.labelled else -1
        fits = (labels >= least) & (labels < spec.num_classes)
        fits = fits & (labels == tf.cast(tf.cast(labels, tf.int32), labels.dtype))
        message = (
            f"`{name}` must hold integer labels from {least} to "
            f"{spec.num_classes - 1}. Received: a batch with others."
        )
        labels = _where(tf.reduce_all(fits), message, labels)
        labels = tf.cast(labels, tf.int32)
        if not source.has_weights:
            return images, labels
        return images, labels, _weighted(labels, weights, source)

    return dataset.map(check, num_parallel_calls=tf.data.AUTOTUNE)


def _weighted(labels: Any, weights: Any, source: StreamSource) -> Any:
    """The weights of the images' losses, once they are checked."""
    soft = bool(source.label_shape)
    per_image = labels[..., 0] if soft else labels
    of_classes = 1.0
    if source.class_weight is not None:
        of_classes = tf.constant(source.class_weight)
        if soft:
            of_classes = tf.reduce_sum(labels * of_classes, axis=-1)
        else:
            of_classes = tf.gather(of_classes, labels)
    if weights is None:
        return of_classes
    weights = tf.reshape(tf.cast(weights, tf.float32), tf.shape(per_image))
    weights.set_shape(per_image.shape)
    fits = tf.reduce_all(tf.math.is_finite(weights) & (weights >= 0))
    message = (
        f"`{source.name}` must hold one weight, at least 0 and finite, for each image. "
        "Received: a batch with others."
    )
    return _where(fits, message, weights) * of_classes


def _within(
    value_range: tuple[float, float], name: str, images: Any, several: bool
) -> Any:
    """The images, once it is known that they lie in the range, and, of a batch of
    several with fractions, that they are not scaled to [0, 1] in a wide range."""
    values = tf.cast(images, tf.float32)
    low, high = tf.reduce_min(values), tf.reduce_max(values)
    least, most = passed_range(value_range)
    message = tf.strings.format(
        f"`{name}` must lie in [{value_range[0]}, {value_range[1]}], the `value_range` "
        "of the views. Received: values from {} to {}.",
        (low, high),
    )
    images = _where((low >= least) & (high <= most), message, images)
    if not (several and images.dtype.is_floating and is_wide(value_range)):
        return images
    magnitude = tf.maximum(tf.abs(low), tf.abs(high))

    def scaled() -> Any:
        lit = tf.reduce_any(values != 0, axis=(1, 2, 3))
        fractions = tf.reduce_any(values != tf.round(values))
        return fractions & (tf.reduce_sum(tf.cast(lit, tf.int32)) > 1)

    message = tf.strings.format(
        f"`{name}` must lie in [{value_range[0]}, {value_range[1]}], the `value_range` "
        "of the views. Received: a batch of values from {} to {}, which looks like "
        "[0, 1]: scale all batches alike.",
        (low, high),
    )
    return _where(~tf.cond(magnitude < BRIGHT, scaled, lambda: False), message, images)


def _indices_of_one_hot(labels: Any, name: str) -> Any:
    binary = (labels == 0) | (labels == 1)
    one_hot = tf.reduce_all(binary) & tf.reduce_all(
        tf.reduce_sum(tf.cast(labels, tf.float32), axis=-1) == 1
    )
    message = (
        f"`{name}` must hold integer labels or one-hot rows. Received: a batch with "
        "rows that are not one-hot."
    )
    return tf.argmax(_where(one_hot, message, labels), axis=-1)


def _probabilities(labels: Any, name: str) -> Any:
    labels = tf.cast(labels, tf.float32)
    near = tf.abs(tf.reduce_sum(labels, axis=-1) - 1) <= SUM_TOLERANCE
    message = (
        f"`{name}` must hold labels or rows of probabilities, at least 0 and of sum 1. "
        "Received: a batch with other rows."
    )
    return _where(tf.reduce_all(labels >= 0) & tf.reduce_all(near), message, labels)


def _where(condition: Any, message: Any, tensor: Any) -> Any:
    """The tensor, or an error with the message."""
    with tf.control_dependencies([tf.debugging.Assert(condition, [marked(message)])]):
        return tf.identity(tensor)
