"""Keras' optimisers under tf.distribute, given the gradients of the whole batch.

By themselves they clip, unscale and accumulate what each replica has, and add it up
only when they change the weights: the norm of a part of the batch in the place of the
batch's. Here gradients are added up before an optimiser sees them, so that all of its
settings mean what they mean on one device.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf


@contextlib.contextmanager
def gradients_added_up_first(optimizer: keras.optimizers.Optimizer) -> Iterator[None]:
    """Steps that are traced within add up gradients before `optimizer` takes them.

    For the trace and not for good: the optimiser is the user's.

    Args:
        optimizer: made in the scope of the strategy, and built.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    apply = optimizer.apply

    def apply_total(grads: Sequence[Any], trainable_variables: Any = None) -> None:
        apply(_total(grads), trainable_variables)

    replaced: list[tuple[Any, str, Any]] = [
        (optimizer, "apply", apply_total),
        # What Keras calls to add up, when the weights are changed.
        (inner, "_all_reduce_sum_gradients", list),
    ]
    if inner.gradient_accumulation_steps and not _branches_within_replicas():

        def accumulate(grads: Sequence[Any], variables: Sequence[Any]) -> None:
            _apply_when_due(inner, grads, variables)

        replaced.append((inner, "_backend_apply_gradients", accumulate))
    for owner, name, function in replaced:
        setattr(owner, name, function)
    try:
        yield
    finally:
        for owner, name, _ in replaced:
            vars(owner).pop(name)


def _total(grads: Sequence[Any]) -> list[Any]:
    """The sum of the replicas' gradients, variable by variable; None stays."""
    known = [grad for grad in grads if grad is not None]
    context = tf.distribute.get_replica_context()
    totals = iter(context.all_reduce("SUM", known) if known else [])
    return [None if grad is None else next(totals) for grad in grads]


def _branches_within_replicas() -> bool:
    """Whether a replica may decide by itself to change weights (on TPUs)."""
    return tf.__internal__.distribute.strategy_supports_no_merge_call()


def _apply_when_due(
    optimizer: Any, grads: Sequence[Any], variables: Sequence[Any]
) -> None:
    """Accumulates gradients, and in every n-th step changes the weights.

    As `Optimizer._backend_apply_gradients`, whose condition stands within a replica,
    where nothing that changes the weights may be conditional.
    """
    steps = optimizer.gradient_accumulation_steps
    accumulators = [
        optimizer._accumulated_gradients[optimizer._get_variable_index(variable)]
        for variable in variables
    ]

    def update(grads: Sequence[Any]) -> None:
        means = [
            (accumulator + grad) / steps
            for accumulator, grad in zip(accumulators, grads, strict=True)
        ]
        means = optimizer._clip_gradients(means)
        optimizer._apply_weight_decay(variables)
        optimizer._backend_update_step(means, variables, optimizer.learning_rate)

    def decide(strategy: Any, grads: Sequence[Any]) -> None:
        def on_every_device(function: Any, *values: Any) -> None:
            for accumulator, *rest in zip(accumulators, *values, strict=True):
                strategy.extended.update(
                    accumulator.value, function, args=tuple(rest), group=False
                )

        def change_weights() -> int:
            strategy.extended.call_for_each_replica(update, args=(grads,))
            on_every_device(lambda variable: variable.assign(tf.zeros_like(variable)))
            return 0

        def only_add() -> int:
            on_every_device(lambda variable, grad: variable.assign_add(grad), grads)
            return 0

        due = tf.equal((optimizer._iterations.value + 1) % steps, 0)
        tf.cond(due, change_weights, only_add)

    tf.distribute.get_replica_context().merge_call(decide, args=(grads,))
    if optimizer.use_ema:
        optimizer._update_model_variables_moving_average(variables)
