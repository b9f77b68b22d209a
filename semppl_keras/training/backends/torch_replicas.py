"""Replicas of the step on torch: each process is one, seen from within itself.

All of them call the same functions in the same order, backward passes included: they
run the same program on batches of the same sizes.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from keras import ops
from torch import distributed

from semppl_keras.training.backends import torch_processes

_in_a_step = False


@contextlib.contextmanager
def sharing_a_step() -> Iterator[None]:
    """Within it the processes work on parts of one batch.

    Outside of it each is by itself, as what predicts or draws views for a look is.
    """
    global _in_a_step
    _in_a_step = True
    try:
        yield
    finally:
        _in_a_step = False


def count() -> int:
    """How many replicas run the step; 1 outside of one."""
    return torch_processes.count() if _in_a_step else 1


def index() -> int:
    """Which of them this one is."""
    return distributed.get_rank()


def total(values: Any) -> Any:
    """The sum of what each replica holds; its gradient is the sum of theirs."""
    return _Total.apply(ops.convert_to_tensor(values))


def shares(values: Any) -> Any:
    """What each replica holds, `(replicas, ...)`; gradients as of `total`."""
    return _Shares.apply(ops.convert_to_tensor(values))


def whole_loss(share: Any) -> Any:
    """The sum of the replicas' shares of a loss; its gradient is the own share's.

    Those of the weights are added up as the backward pass goes on.
    """
    return _WholeLoss.apply(share)


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, values: Any) -> Any:
        return _sum(values)

    @staticmethod
    def backward(context: Any, gradient: Any) -> Any:
        return _sum(gradient)


class _Shares(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, values: Any) -> Any:
        values = values.contiguous()
        parts = [torch.empty_like(values) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, values)
        return torch.stack(parts)

    @staticmethod
    def backward(context: Any, gradient: Any) -> Any:
        # Embeddings are small: gloo scatters a sum by making all of it, too.
        return _sum(gradient)[index()]


class _WholeLoss(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, share: Any) -> Any:
        return _sum(share)

    @staticmethod
    def backward(context: Any, gradient: Any) -> Any:
        return gradient


def _sum(values: Any) -> Any:
    values = values.clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(values)
    return values
