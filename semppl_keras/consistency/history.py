"""The mean of what has been predicted: a moving average, or of the last batches."""

from typing import Any

from keras import ops

from semppl_keras.checks import check_integers, check_share


def recorded(history: Any, latest: Any, momentum: float | None = None) -> Any:
    """A history of means with the latest batch's.

    Args:
        history: `(K, C)`, the latest first, rows of 0 where there are none yet; with a
            momentum `(1, C)`.
        latest: `(C,)`, of sum 1.
        momentum: float, of a moving average, which begins with the first batch; None
            for the means of the last K batches.

    Returns:
        The new history.
    """
    if momentum is None:
        return ops.concatenate([latest[None], history[:-1]], axis=0)
    moved = momentum * history + (1.0 - momentum) * latest
    return ops.where(ops.sum(history) > 0, moved, latest[None])


def mean_of(history: Any) -> Any:
    """The mean `(C,)` of the rows of a history that are filled."""
    filled = ops.cast(ops.sum(history, axis=-1) > 0, "float32")
    return ops.sum(history, axis=0) / ops.maximum(ops.sum(filled), 1.0)


def checked_momentum(momentum: float | None, queue: int | None) -> float | None:
    """The momentum of a history, 0.999 where neither is given, None with a queue.

    Raises:
        ValueError: if both are given, or one is out of range.
    """
    if momentum is not None and queue is not None:
        raise ValueError(
            "`momentum` and `queue` are two ways to average. Received: momentum="
            f"{momentum}, queue={queue}. Leave one out."
        )
    if queue is not None:
        check_integers(1, queue=queue)
        return None
    momentum = 0.999 if momentum is None else momentum
    check_share(momentum=momentum)
    return momentum
