"""Replicas of the step under tf.distribute, seen from within one of them."""

import tensorflow as tf


def count():
    """How many replicas run the step; 1 outside of `strategy.run`."""
    context = tf.distribute.get_replica_context()
    return 1 if context is None else context.num_replicas_in_sync


def index():
    """Which of them this one is: a scalar tensor."""
    return tf.distribute.get_replica_context().replica_id_in_sync_group


def total(values):
    """The sum of what each replica holds; its gradient is the sum of theirs."""
    return tf.distribute.get_replica_context().all_reduce("SUM", values)
