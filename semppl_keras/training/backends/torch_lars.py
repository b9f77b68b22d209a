"""LARS on torch: all weights by kernels for lists of tensors.

One by one the 161 weights of a ResNet-50 take as long to be called as a pass of the
network takes a GPU, which waits meanwhile.
"""

from collections.abc import Sequence
from typing import Any

import torch
from keras import ops

from semppl_keras.optimizers import LARS


@torch.no_grad()
def update(
    optimizer: LARS, grads: Sequence[Any], variables: Sequence[Any], rate: Any
) -> None:
    """In place of `update_step` for each of the variables."""
    together = []
    for grad, variable in zip(grads, variables, strict=True):
        if grad.dtype == variable.value.dtype == torch.float32:
            together.append((grad, variable))
        else:
            optimizer.update_step(grad, variable, rate)
    if together:
        at_once, moved = zip(*together, strict=True)
        _update(optimizer, at_once, moved, rate)


def _update(
    optimizer: LARS, grads: Sequence[Any], variables: Sequence[Any], rate: Any
) -> None:
    """The same of variables of float32."""
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
