"""SGD with L2 on torch: all weights in a few calls of kernels for lists of tensors.

Keras changes weights like this on torch by its own classes of optimisers alone, and
weight by weight by every class that is derived from them: a dozen calls for each, which
take more time than what they compute.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from keras import ops

from semppl_keras.optimizers import SGDL2


@contextlib.contextmanager
def sgd_at_once(optimizer: Any) -> Iterator[None]:
    """Within it an `SGDL2` changes all weights at once.

    For the step and not for good: the optimiser is the user's. Others, subclasses too,
    are left alone.

    Args:
        optimizer: a built Keras optimiser.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    is_known = type(inner) is SGDL2
    if not is_known:
        yield
        return

    def update(grads: Sequence[Any], variables: Sequence[Any], rate: Any) -> None:
        _update(inner, grads, variables, rate)

    # Past Keras' tracking of attributes.
    vars(inner)["_backend_update_step"] = update
    try:
        yield
    finally:
        vars(inner).pop("_backend_update_step")


@torch.no_grad()
def _update(
    optimizer: SGDL2, grads: Sequence[Any], variables: Sequence[Any], rate: Any
) -> None:
    """In place of `update_step` for each of the variables."""
    for kind in dict.fromkeys(variable.value.dtype for variable in variables):
        pairs = [
            (grad.to(kind), variable)
            for grad, variable in zip(grads, variables, strict=True)
            if variable.value.dtype == kind
        ]
        own = [variable.value for _, variable in pairs]
        changes = [grad for grad, _ in pairs]
        kernels = [place for place, value in enumerate(own) if value.ndim > 1]
        if optimizer.l2 and kernels:
            decayed = torch._foreach_add(
                [changes[place] for place in kernels],
                [own[place] for place in kernels],
                alpha=optimizer.l2,
            )
            for place, change in zip(kernels, decayed, strict=True):
                changes[place] = change
        changes = list(torch._foreach_mul(changes, -_as_scalar(rate, kind)))
        if optimizer.momentum:
            momenta = [
                optimizer.momentums[optimizer._get_variable_index(variable)].value
                for _, variable in pairs
            ]
            torch._foreach_mul_(momenta, optimizer.momentum)
            torch._foreach_add_(momenta, changes)
            if optimizer.nesterov:
                torch._foreach_add_(changes, momenta, alpha=optimizer.momentum)
            else:
                changes = momenta
        torch._foreach_add_(own, changes)


def _as_scalar(rate: Any, kind: torch.dtype) -> torch.Tensor:
    """A tensor, which need not be fetched from where it lies."""
    return ops.convert_to_tensor(rate).detach().to(kind)
