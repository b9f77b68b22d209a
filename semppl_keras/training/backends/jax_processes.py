"""Processes that train together on JAX."""

import contextlib
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils


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


def own_value(value: Any) -> Any:
    """The whole of a value that may lie on several processes, on a device of this one.

    A copy: Keras' step gives away the memory of what it is given.
    """
    if value.is_fully_replicated:
        return jnp.copy(value.addressable_data(0))
    return jnp.asarray(multihost_utils.process_allgather(value, tiled=True))
