"""LARS on torch: all weights in a few calls of kernels for lists of tensors.

Weight by weight it takes a dozen small calls for each, and a ResNet-50 has 161: as long
as a pass of the network takes a GPU, which waits meanwhile.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from keras import ops

from semppl_keras.optimizers import LARS


@contextlib.contextmanager
def lars_at_once(optimizer: Any) -> Iterator[None]:
    """Within it a `LARS` changes all weights at once.

    The numbers are its own up to rounding. For the step and not for good: the optimiser
    is the user's. Any other optimiser, subclasses too, is left alone.

    Args:
        optimizer: a built Keras optimiser.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    is_known = type(inner) is LARS
    if not is_known:
        yield
        return
    update_each = inner._backend_update_step

    def update(grads: Sequence[Any], variables: Sequence[Any], rate: Any) -> None:
        tensors = [*grads, *(variable.value for variable in variables)]
        if all(tensor.dtype == torch.float32 for tensor in tensors):
            _update(inner, grads, variables, rate)
        else:
            update_each(grads, variables, rate)

    # Past Keras' tracking of attributes.
    vars(inner)["_backend_update_step"] = update
    try:
        yield
    finally:
        vars(inner).pop("_backend_update_step")


@torch.no_grad()
def _update(
    optimizer: LARS, grads: Sequence[Any], variables: Sequence[Any], rate: Any
) -> None:
    """In place of `update_step` for each of the variables."""
    rate = ops.convert_to_tensor(rate, "float32").detach()
    places = [optimizer._get_variable_index(variable) for variable in variables]
    weights = [variable.value for variable in variables]
    steps = list(torch._foreach_mul(list(grads), rate))
    # Of rank 2 and more.
    kernels = [index for index, weight in enumerate(weights) if weight.ndim > 1]
    if kernels:
        every = optimizer._adapted.value.unbind()
        adapted = [every[places[index]] for index in kernels]
        decays = [
            optimizer.weight_decay * optimizer._use_weight_decay(variables[index])
            for index in kernels
        ]
        moved = _kernel_steps(
            [weights[index] for index in kernels],
            [grads[index] for index in kernels],
            adapted,
            decays,
            rate,
            optimizer.trust_coefficient,
        )
        for index, step in zip(kernels, moved, strict=True):
            steps[index] = step
    velocities = [optimizer._velocities[place].value for place in places]
    torch._foreach_mul_(velocities, optimizer.momentum)
    torch._foreach_add_(velocities, steps)
    if optimizer.nesterov:
        torch._foreach_add_(steps, velocities, alpha=optimizer.momentum)
        torch._foreach_sub_(weights, steps)
    else:
        torch._foreach_sub_(weights, velocities)


def _kernel_steps(
    weights: list[torch.Tensor],
    grads: list[torch.Tensor],
    adapted: list[torch.Tensor],
    decays: list[float],
    rate: torch.Tensor,
    trust_coefficient: float,
) -> list[torch.Tensor]:
    """What is added to the momentum of kernels.

    Args:
        weights, grads: as many tensors of rank 2 and more.
        adapted: of each a scalar, above 0 for those with decay and adaptation.
        decays: of each a float.
        rate: scalar.
        trust_coefficient: float.
    """
    factors = torch._foreach_mul(adapted, decays)
    directions = torch._foreach_mul(weights, factors)
    torch._foreach_add_(directions, grads)
    weight_norms = torch.stack(torch._foreach_norm(weights))
    norms = torch.stack(torch._foreach_norm(directions))
    applies = (torch.stack(adapted) > 0) & (weight_norms > 0) & (norms > 0)
    ratios = trust_coefficient * weight_norms / norms.where(applies, 1.0)
    trusts = rate * ratios.where(applies, 1.0)
    return list(torch._foreach_mul(directions, list(trusts.unbind())))
