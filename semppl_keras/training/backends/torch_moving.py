"""Variables that move all at once: torch's kernels for lists of tensors.

One by one, each of them costs more time to be called than to be computed.
"""

from collections.abc import Iterable
from typing import Any

import torch
from keras import ops


@torch.no_grad()
def move(pairs: Iterable[tuple[Any, Any]], share: Any) -> None:
    """`a <- a + share (w - a)`, as `one_by_one.move` computes it.

    Args:
        pairs: of variables of floats, a and w.
        share: float or float scalar.
    """
    of_kinds: dict[Any, tuple[list[torch.Tensor], list[torch.Tensor]]] = {}
    for mean, weight in pairs:
        own = mean.value
        means, weights = of_kinds.setdefault(own.dtype, ([], []))
        means.append(own)
        weights.append(weight.value.to(own.dtype))
    for kind, (means, weights) in of_kinds.items():
        ways = torch._foreach_sub(weights, means)
        # Not by `lerp`, whose share would have to be fetched from where it lies.
        torch._foreach_mul_(ways, ops.convert_to_tensor(share).to(kind))
        torch._foreach_add_(means, ways)
