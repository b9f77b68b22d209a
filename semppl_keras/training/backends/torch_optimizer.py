"""Optimisers of this package on torch, which change all weights at once.

Keras changes weights like this on torch by its own classes of optimisers alone, and
weight by weight by every class that is derived from them: a dozen calls for each, which
take more time than what they compute.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from semppl_keras.optimizers import LARS, SGDL2
from semppl_keras.training.backends import torch_lars, torch_sgd

_UPDATES: dict[type, Callable[..., None]] = {
    SGDL2: torch_sgd.update,
    LARS: torch_lars.update,
}


@contextlib.contextmanager
def weights_at_once(optimizer: Any) -> Iterator[None]:
    """Within it an `SGDL2` or a `LARS` changes all weights in a few calls of kernels.

    The numbers are its own up to rounding. For the step and not for good: the optimiser
    is the user's. Others, subclasses too, are left alone.

    Args:
        optimizer: a built Keras optimiser.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    update_all = _UPDATES.get(type(inner))
    if update_all is None:
        yield
        return

    def update(grads: Sequence[Any], variables: Sequence[Any], rate: Any) -> None:
        update_all(inner, grads, variables, rate)

    # Past Keras' tracking of attributes.
    vars(inner)["_backend_update_step"] = update
    try:
        yield
    finally:
        vars(inner).pop("_backend_update_step")
