"""Keras' Adam on TensorFlow, in half as many operations for each weight.

Keras computes for each weight anew how large this step is, and reads and multiplies in
operations of their own. Small networks have some forty weights of a few thousand
numbers, and a thousand operations of Adam.

TensorFlow's own operation for all of it, ResourceApplyAdam, is not quite Keras': it
takes 1 - beta in float32, which for beta = 0.999 is another number in the fifth digit.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf


@contextlib.contextmanager
def adam_at_once(optimizer: Any) -> Iterator[None]:
    """Steps that are traced within share what all weights' updates have in common.

    The numbers are Keras' up to rounding. For the trace and not for good: the
    optimiser is the user's. Any other optimiser is left alone.

    Args:
        optimizer: a built Keras optimiser, not in the scope of a strategy.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    known = type(inner) in (keras.optimizers.Adam, keras.optimizers.AdamW)
    if not known or inner.amsgrad:
        yield
        return
    update_each = inner._backend_update_step

    def update(grads: Sequence[Any], variables: Sequence[Any], rate: Any) -> None:
        tensors = [variable.value for variable in variables]
        plain = all(isinstance(grad, tf.Tensor) for grad in grads)
        if plain and {tensor.dtype for tensor in tensors} == {tf.float32}:
            _update(inner, grads, variables, rate)
        else:
            update_each(grads, variables, rate)

    # Past Keras' tracking of attributes.
    vars(inner)["_backend_update_step"] = update
    try:
        yield
    finally:
        vars(inner).pop("_backend_update_step")


def _update(
    optimizer: Any, grads: Sequence[Any], variables: Sequence[Any], rate: Any
) -> None:
    """As `update_step` of Keras' Adam, for all weights."""
    rate_1, rate_2 = 1 - optimizer.beta_1, 1 - optimizer.beta_2
    step = tf.cast(optimizer.iterations + 1, tf.float32)
    alpha = tf.cast(rate, tf.float32) * tf.sqrt(1 - tf.pow(optimizer.beta_2, step))
    alpha /= 1 - tf.pow(optimizer.beta_1, step)
    for grad, variable in zip(grads, variables, strict=True):
        grad = tf.cast(grad, tf.float32)
        index = optimizer._get_variable_index(variable)
        momentum = optimizer._momentums[index].value
        velocity = optimizer._velocities[index].value
        move_by_share(momentum, grad, rate_1)
        move_by_share(velocity, tf.square(grad), rate_2)
        change = momentum * alpha / (tf.sqrt(velocity) + optimizer.epsilon)
        variable.value.assign_sub(change)


def move_by_share(variable: tf.Variable, aim: Any, share: Any) -> None:
    """Moves a variable by a share of its way to `aim`, in one pass over it."""
    tf.raw_ops.ResourceApplyGradientDescent(
        var=variable.handle,
        alpha=tf.cast(share, variable.dtype),
        delta=variable - aim,
    )
