"""The average of a network's weights over its training, which predicts in its place."""

from typing import Any

import keras
from keras import ops

from semppl_keras.training.backends import moving


def decay_at(step: Any, decay: float) -> Any:
    """The decay of a moving average: `min(decay, (1 + step) / (10 + step))`.

    Without the second, which is that of TensorFlow's `ExponentialMovingAverage`, the
    weights before the first of some hundred steps would count for most of the average.

    Args:
        step: int or int32 scalar, steps that were done before.
        decay: float in [0, 1).

    Returns:
        A float32 scalar.
    """
    done = ops.cast(step, "float32")
    return ops.minimum(decay, (1.0 + done) / (10.0 + done))


def average_weights(
    average: keras.Model,
    network: keras.Model,
    share: Any,
    statistics_share: Any = None,
) -> None:
    """`a <- a + share (w - a)` for all weights that training moves.

    The moving statistics of batch normalisation are averaged with the others: they fit
    the average's weights, of which nothing else could tell them. What a frozen layer
    holds stays, and what is no float is copied.

    Args:
        average: a copy of the network.
        network: what is trained.
        share: float scalar in [0, 1], 1 - decay; 0 changes nothing.
        statistics_share: another one for what no gradient moves, the statistics of
            batch normalisation; None for the same.
    """
    own = share if statistics_share is None else statistics_share
    shares = {"_trainable_variables": share, "_non_trainable_variables": own}
    floats: dict[str, list[tuple[Any, Any]]] = {name: [] for name in shares}
    layers = zip(average._flatten_layers(), network._flatten_layers(), strict=True)
    for twin, layer in layers:
        if not layer.trainable:
            continue
        # Of its own, without what the layers within it have.
        for name in shares:
            for mean, weight in zip(
                getattr(twin, name), getattr(layer, name), strict=True
            ):
                if not _moves(weight, name):
                    continue
                if keras.backend.is_float_dtype(mean.dtype):
                    floats[name].append((mean, weight))
                else:
                    mean.assign(ops.where(shares[name] > 0, weight, mean))
    for name, pairs in floats.items():
        moving.move(pairs, shares[name])


def _moves(weight: Any, kind: str) -> bool:
    return weight.trainable or kind == "_non_trainable_variables"
