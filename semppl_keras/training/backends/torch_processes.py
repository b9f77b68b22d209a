"""Processes that train together on torch: those of the default process group."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import distributed


def count() -> int:
    """How many processes there are; 1 without a process group."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_world_size()
    return 1


def index(model: Any) -> int:
    """Which of the processes this one is."""
    del model
    return distributed.get_rank() if count() > 1 else 0


def gathered(model: Any, values: Any) -> np.ndarray:
    """What each process holds, of one shape everywhere, `(processes, ...)`."""
    values = np.asarray(values)
    if count() == 1:
        return values[None]
    # Where its variables lie: NCCL knows no others.
    own = torch.as_tensor(values, device=model.step.value.device)
    parts = [torch.empty_like(own) for _ in range(count())]
    distributed.all_gather(parts, own)
    return torch.stack(parts).cpu().numpy()


@torch.no_grad()
def take_from_the_first(variables: Iterable[Any]) -> None:
    """Sets variables, the same ones in every process, to what the first one holds."""
    for variable in variables:
        value = variable.value.detach().clone(memory_format=torch.contiguous_format)
        distributed.broadcast(value, src=0)
        variable.assign(value)
