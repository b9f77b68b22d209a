"""The layers without weights of selective kernels: two streams, summed and mixed."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="semppl_keras")
class SumStreams(keras.layers.Layer):
    """The sum of two streams.

    Input `(B, h, w, 2 F)`, the streams one after the other; output `(B, h, w, F)`.
    arXiv 1903.06586.
    """

    def call(self, streams: Any) -> Any:
        first, second = ops.split(streams, 2, axis=-1)
        return first + second

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return (*input_shape[:-1], input_shape[-1] // 2)


@keras.saving.register_keras_serializable(package="semppl_keras")
class MixStreams(keras.layers.Layer):
    """Two streams, weighted filter by filter.

    Input `(B, h, w, 2 F)` and the logits of the weights `(B, 1, 1, 2 F)`; output
    `(B, h, w, F)`. arXiv 1903.06586: the softmax runs over the two
    streams, in float32 under every policy.
    """

    def call(self, inputs: Any) -> Any:
        streams, logits = inputs
        first, second = ops.split(streams, 2, axis=-1)
        first_logits, second_logits = ops.split(ops.cast(logits, "float32"), 2, axis=-1)
        share = ops.cast(ops.sigmoid(first_logits - second_logits), streams.dtype)
        return share * first + (1 - share) * second

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        streams, _ = input_shape
        return (*streams[:-1], streams[-1] // 2)
