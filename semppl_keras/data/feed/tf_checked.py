"""Checks of what a tf.data.Dataset holds, made as it passes."""

from typing import Any

import tensorflow as tf

from semppl_keras.data.checks import BRIGHT, SUM_TOLERANCE, is_wide, passed_range
from semppl_keras.data.feed.explanations import marked
from semppl_keras.data.feed.named_parts import named_parts
from semppl_keras.data.feed.stream_source import StreamSource


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
