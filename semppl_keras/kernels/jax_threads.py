"""Prediction on JAX, from several threads and after errors."""

import contextlib
import threading
from collections.abc import Iterator

import keras

# What is being predicted with: a thread, and the variables of its model.
_at_work: list[tuple[int, set[int]]] = []
_changed = threading.Condition()


@contextlib.contextmanager
def one_at_a_time(
    network: keras.layers.Layer, *, called: bool = False
) -> Iterator[None]:
    """Within it no other thread predicts by the same variables, which have values again
    after it.

    Keras' `predict` and `evaluate` on JAX take the values out of a model's variables
    and give them back in the end, unless there was an error: data that cannot be read,
    or two threads at a time, would leave the model without any.

    Args:
        network: a model or another layer. One that shares variables with it is waited
            for, too.
        called: of no effect: what is called as it is takes no values out, and cannot
            do without them.
    """
    del called
    work = threading.get_ident(), {id(variable) for variable in network.variables}

    def free() -> bool:
        return all(each[0] == work[0] or not each[1] & work[1] for each in _at_work)

    with _changed:
        _changed.wait_for(free)
        _at_work.append(work)
    try:
        yield
    finally:
        if isinstance(network, keras.Model):
            network.jax_state_sync()
        with _changed:
            _at_work[:] = [each for each in _at_work if each is not work]
            _changed.notify_all()
