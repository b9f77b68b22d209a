"""Processes that train together on JAX."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from jax.experimental import multihost_utils

# The errors of collectives have no class of their own.
_SIGNS = (
    "Gloo ",
    "NCCL",
    "Connection reset by peer",
    "Connection closed by peer",
    "heartbeat",
    "coordination service",
    "CoordinationService",
)


def index(model: Any) -> int:
    """Which of the processes this one is."""
    del model
    return jax.process_index()


def gathered(model: Any, values: Any) -> np.ndarray:
    """What each process holds, of one shape everywhere, `(processes, ...)`."""
    del model
    values = np.asarray(values)
    if jax.process_count() == 1:
        return values[None]
    return np.asarray(multihost_utils.process_allgather(values))


@contextlib.contextmanager
def on_its_own(model: Any) -> Iterator[None]:
    """A context in which each process computes by itself what it is asked, with values
    of the model's variables that it holds alone; metrics keep what they become."""
    if jax.process_count() == 1:
        yield
        return
    metrics = {id(variable) for variable in model.metrics_variables}
    variables = {
        id(variable): variable
        for variable in (*model.variables, *model.metrics_variables)
    }
    held = [(each, each._value, each._layout) for each in variables.values()]
    for variable, value, _ in held:
        # Once assigned, it would be divided among all processes again.
        variable._layout = None
        variable._value = own_value(value)
    try:
        yield
    finally:
        for variable, value, layout in held:
            changed = variable._value
            variable._value, variable._layout = value, layout
            if id(variable) in metrics and changed is not None:
                variable.assign(np.asarray(changed))


def predicted(model: Any, function: Callable[[], Any]) -> Any:
    """What a function predicts by the model, the same in every process."""
    del model
    return function()


def in_the_first(model: Any, function: Callable[[], Any]) -> Any:
    """Has the first process call what reads and saves the model; all are to come."""
    if jax.process_count() == 1:
        return function()
    # Under a distribution, what Keras makes in order to save would be made by all.
    distribution = keras.distribution.distribution()
    variables = (*model.variables, *model.optimizer.variables)
    divided = [
        (variable, variable._value)
        for variable in variables
        if not variable._value.is_fully_replicated
    ]
    try:
        for variable, value in divided:
            variable._value = own_value(value)
        keras.distribution.set_distribution(None)
        return None if index(model) else function()
    finally:
        keras.distribution.set_distribution(distribution)
        for variable, value in divided:
            variable._value = value


def is_lost(error: BaseException) -> bool:
    """Whether an error tells that another process is gone."""
    return any(sign in str(error) for sign in _SIGNS)


def own_value(value: Any) -> Any:
    """The whole of a value that may lie on several processes, on a device of this one.

    A copy: Keras' step gives away the memory of what it is given.
    """
    if value.is_fully_replicated:
        return jnp.copy(value.addressable_data(0))
    return jnp.asarray(multihost_utils.process_allgather(value, tiled=True))
