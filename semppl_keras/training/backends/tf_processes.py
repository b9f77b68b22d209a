"""Processes that train together under tf.distribute."""

import concurrent.futures
import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

# Of an error whose class says nothing.
_SIGNS = ("Connection reset by peer", "Collective ops is aborted", "heartbeat")


def index(model: Any) -> int:
    """Which of the processes this one is."""
    resolver = model.distribute_strategy.cluster_resolver
    return 0 if resolver is None else int(resolver.task_id or 0)


def gathered(model: Any, values: Any) -> np.ndarray:
    """What each process holds, of one shape everywhere, `(processes, ...)`."""
    values = np.asarray(values)
    if model.num_processes == 1:
        return values[None]
    strategy = model.distribute_strategy
    per_process = strategy.num_replicas_in_sync // model.num_processes
    first = index(model) * per_process
    table = np.zeros((model.num_processes, *values.shape), values.dtype)
    table[index(model)] = values

    # Of the replicas of a process the first one speaks.
    def share() -> Any:
        context = tf.distribute.get_replica_context()
        mine = context.replica_id_in_sync_group == first
        own = tf.where(mine, table, tf.zeros_like(table))
        return context.all_reduce("SUM", own)

    total = tf.function(lambda: strategy.run(share))()
    return np.asarray(strategy.experimental_local_results(total)[0])


def on_its_own(model: Any) -> Any:
    """Nothing: Keras divides what is evaluated among the replicas."""
    del model
    return contextlib.nullcontext()


def predicted(model: Any, function: Callable[[], Any]) -> Any:
    """What a function predicts by the model, the same in every process.

    Each computes all of it by itself, and none waits for another.
    """
    strategy = model.distribute_strategy
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return function()
    held = model._distribute_strategy, model.predict_function
    model._distribute_strategy = model.predict_function = None
    try:
        return _outside_of_scopes(function)
    finally:
        model._distribute_strategy, model.predict_function = held


def _outside_of_scopes(function: Callable[[], Any]) -> Any:
    """Calls it in a thread of its own, in which no strategy's scope is entered."""
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        return executor.submit(function).result()


def in_the_first(model: Any, function: Callable[[], Any]) -> Any:
    """Has the first process call what reads and saves the model; all are to come."""
    if model.num_processes == 1:
        return function()
    if index(model):
        return None
    # In the strategy's scope what Keras makes in order to save would be made by all
    # processes, or wait for them.
    return _outside_of_scopes(function)


def is_lost(error: BaseException) -> bool:
    """Whether an error tells that another process is gone."""
    return isinstance(
        error,
        (
            tf.errors.UnavailableError,
            tf.errors.AbortedError,
            tf.errors.CancelledError,
            tf.errors.DeadlineExceededError,
        ),
    ) or any(sign in str(error) for sign in _SIGNS)
