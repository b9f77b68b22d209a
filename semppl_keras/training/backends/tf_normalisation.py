"""Batch normalisation in one operation of TensorFlow, forward and backward.

Keras puts it together of some ten operations, each of which goes over all pixels, and
their gradients of some twenty more: on small networks as much work as half of the
convolutions. TensorFlow has a single one for it, which knows its own gradient.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from semppl_keras.training.backends.normalisation_calls import normalising_by


def fused_normalisation(
    model: keras.Model,
) -> contextlib.AbstractContextManager[None]:
    """Steps that are traced within normalise each batch of images in one operation.

    The numbers are Keras' up to rounding. For the trace and not for good: the layers
    are the user's. Layers of Keras' own class alone, whose computation is known, and
    not those that normalise over several replicas.

    Args:
        model: whose layers are meant, those of its networks too.
    """
    return normalising_by(model, _fused_call, _is_plain)


def _is_plain(layer: Any) -> bool:
    """Whether it takes its statistics as TensorFlow's operation does."""
    return not (layer.synchronized or getattr(layer, "renorm", False))


def _fused_call(layer: Any, call: Callable[..., Any]) -> Callable[..., Any]:
    """The layer's `call`, for images in training in one operation."""

    def fused(inputs: Any, training: Any = None, mask: Any = None) -> Any:
        images = len(inputs.shape) == 4 and layer.axis in (-1, 3)
        if not images or mask is not None or not (training and layer.trainable):
            return call(inputs, training=training, mask=mask)
        outputs, mean, variance = _normalised(layer, tf.cast(inputs, tf.float32))
        for kept, new in (
            (layer.moving_mean, mean),
            (layer.moving_variance, variance),
        ):
            momentum = layer.momentum
            kept.assign(kept * momentum + new * (1.0 - momentum))
        return tf.cast(outputs, layer.compute_dtype)

    return fused


def _normalised(layer: Any, inputs: Any) -> tuple[Any, Any, Any]:
    """`(B, h, w, C)` float32 normalised, with mean and variance `(C,)` of the batch."""
    channels = inputs.shape[-1]
    scale = tf.cast(layer.gamma, tf.float32) if layer.scale else tf.ones(channels)
    offset = tf.cast(layer.beta, tf.float32) if layer.center else tf.zeros(channels)
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=inputs,
        scale=scale,
        offset=offset,
        mean=tf.zeros(0),
        variance=tf.zeros(0),
        epsilon=layer.epsilon,
        is_training=True,
    )
    # It tells the variance of what the batch is a sample of; Keras keeps the batch's.
    count = tf.cast(tf.size(inputs) // channels, tf.float32)
    variance = variance * ((count - 1.0) / count)
    return outputs, tf.stop_gradient(mean), tf.stop_gradient(variance)
