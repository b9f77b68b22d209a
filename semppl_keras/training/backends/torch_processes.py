"""Processes that train together on torch: those of the default process group."""

import contextlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import distributed

# The errors of gloo have no class of their own.
_SIGNS = (
    "gloo",
    "NCCL",
    "Connection reset by peer",
    "Connection closed by peer",
)

# Prime, and more than the draws of a training.
_BETWEEN_SEEDS = 179_424_673


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


@torch.no_grad()
def draw_apart(layers: Iterable[Any], own_index: int) -> None:
    """Lets layers such as `Dropout` draw otherwise in this process than in the others.

    Of one seed each of them would drop the same places of its share of the images.

    Args:
        layers: of the networks, with the state that the first process has.
        own_index: int, which of them this one is; in the first nothing changes.
    """
    generators = {
        id(generator): generator
        for layer in layers
        for generator in layer._seed_generators
    }
    for generator in generators.values():
        # Keras adds the number of the draw to it: seeds lie further apart than those.
        seed, draws = generator.state.value.tolist()
        shifted = (seed + own_index * _BETWEEN_SEEDS) % 2**31
        generator.state.assign([shifted, draws])


def on_its_own(model: Any) -> Any:
    """A context in which each process computes by itself what it is asked.

    Outside of the step each of them does.
    """
    del model
    return contextlib.nullcontext()


def predicted(model: Any, function: Callable[[], Any]) -> Any:
    """What a function predicts by the model, the same in every process."""
    del model
    return function()


def in_the_first(model: Any, function: Callable[[], Any]) -> Any:
    """Has the first process call what reads and saves the model; all are to come."""
    return None if index(model) else function()


def is_lost(error: BaseException) -> bool:
    """Whether an error tells that another process is gone."""
    return any(sign in str(error) for sign in _SIGNS)
