"""The moving average of a network's weights."""

from typing import Any

import keras
from keras import ops

from semppl_keras.training.target_ema import move_towards


def warm_momentum(momentum: float, updates: Any) -> Any:
    """`min(m, (1 + t) / (10 + t))`, a float32 scalar.

    An average that begins with the first weights would be made of them for the first
    1 / (1 - m) steps. (`tf.train.ExponentialMovingAverage` has it alike.)

    Args:
        momentum: float, m.
        updates: float32 scalar, t, optimiser steps before this one.
    """
    updates = ops.cast(updates, "float32")
    return ops.minimum(momentum, (1.0 + updates) / (10.0 + updates))


def average_weights(
    average: keras.layers.Layer,
    network: keras.layers.Layer,
    momentum: float,
    updates: Any,
    completed: Any = 1.0,
    statistics: str = "average",
) -> None:
    """Moves a copy of a network after an optimiser step.

    Args:
        average: the copy.
        network: what it follows.
        momentum: float, m.
        updates: float32 scalar, optimiser steps before this one.
        completed: 1.0, or 0.0 where gradients were only added up: nothing moves.
        statistics: "average" or "copy", how the moving statistics of batch
            normalisation follow: averaged as the weights are (EMAN, arXiv 2101.08482),
            or as they stand.
    """
    weight = (1.0 - warm_momentum(momentum, updates)) * completed
    pairs = [
        (copy, source)
        for copy, source in zip(average.weights, network.weights, strict=True)
        # Counts, tables and quantised kernels stay.
        if "float" in str(source.dtype)
    ]
    moved = pairs
    if statistics == "copy":
        trained = _ids_of_trainable(network)
        moved = [pair for pair in pairs if id(pair[1]) in trained]
        others = [pair for pair in pairs if id(pair[1]) not in trained]
        move_towards(others, ops.cast(completed, "float32"))
    move_towards(moved, weight)


def _ids_of_trainable(network: keras.layers.Layer) -> set[int]:
    """Of all that can be trained, frozen or not."""
    return {
        id(weight)
        for layer in network._flatten_layers()
        for weight in layer._trainable_variables
    }
