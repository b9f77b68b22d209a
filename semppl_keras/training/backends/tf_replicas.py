"""Replicas of the step under tf.distribute, seen from within one of them."""

from typing import Any

import tensorflow as tf


def count() -> int:
    """How many replicas run the step; 1 outside of `strategy.run`."""
    context = tf.distribute.get_replica_context()
    return 1 if context is None else context.num_replicas_in_sync


def index() -> Any:
    """Which of them this one is: a scalar tensor."""
    return tf.distribute.get_replica_context().replica_id_in_sync_group


def total(values: Any) -> Any:
    """The sum of what each replica holds; its gradient is the sum of theirs."""
    return tf.distribute.get_replica_context().all_reduce("SUM", values)


def shares(values: Any) -> Any:
    """What each replica holds, `(replicas, ...)`; gradients as of `total`."""
    # Zeros but for the own share, and the sum over replicas: the one collective
    # that every strategy has.
    mine = tf.one_hot(index(), count(), dtype=values.dtype)
    mine = tf.reshape(mine, (count(), *[1] * len(values.shape)))
    return total(mine * values)
