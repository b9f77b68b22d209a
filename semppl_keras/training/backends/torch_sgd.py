"""SGD with L2 on torch: all weights by kernels for lists of tensors."""

from collections.abc import Sequence
from typing import Any

import torch
from keras import ops

from semppl_keras.optimizers import SGDL2


@torch.no_grad()
def update(
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
