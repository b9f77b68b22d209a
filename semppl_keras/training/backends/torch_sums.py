"""What processes add up around a step on torch: gradients and metrics.

Not by `DistributedDataParallel`: it hooks into the forward pass of the module that it
wraps, and Keras' trainer calls the model itself; it averages, where shares of a loss
are to be added up; and it knows parameters by their names in the module, which on Keras
layers of one name share. Gradients are added up once all of them are there, and not
while the backward pass goes on, which costs the time of sending them.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import torch
from torch import distributed

# Bytes that are sent together, as by DistributedDataParallel.
_BUCKET = 25 * 2**20


@contextlib.contextmanager
def gradients_added_up_first(optimizer: keras.optimizers.Optimizer) -> Iterator[None]:
    """Within it `optimizer` is given the gradients of all processes.

    It clips, unscales and accumulates these, as one process would. For the step and not
    for good: the optimiser is the user's.

    Args:
        optimizer: built.
    """
    apply = optimizer.apply

    def apply_total(grads: Sequence[Any], trainable_variables: Any = None) -> None:
        known = [grad for grad in grads if grad is not None]
        totals = iter(added_up(known))
        total = [None if grad is None else next(totals) for grad in grads]
        apply(total, trainable_variables)

    vars(optimizer)["apply"] = apply_total
    try:
        yield
    finally:
        vars(optimizer).pop("apply")


@contextlib.contextmanager
def metrics_added_up(model: keras.Model) -> Iterator[None]:
    """What metrics are given within it counts as if they were given all processes'.

    Of those that keep a value as it is, which is the same everywhere, it stays.
    """
    variables = [each for each in model.metrics_variables if each.aggregation == "sum"]
    before = [variable.value.clone() for variable in variables]
    yield
    with torch.no_grad():
        changes = [
            variable.value - value
            for variable, value in zip(variables, before, strict=True)
        ]
        totals = added_up(changes)
        for variable, value, change in zip(variables, before, totals, strict=True):
            variable.assign(value + change)


@torch.no_grad()
def added_up(values: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """The sums over the processes of tensors, the same ones in each of them."""
    sent = []
    for bucket in _buckets(values):
        joined = torch.cat([value.reshape(-1) for value in bucket])
        sent.append((bucket, joined, distributed.all_reduce(joined, async_op=True)))
    totals = []
    for bucket, joined, work in sent:
        work.wait()
        parts = joined.split([value.numel() for value in bucket])
        totals += [
            part.view(value.shape) for part, value in zip(parts, bucket, strict=True)
        ]
    return totals


def _buckets(values: Sequence[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """Runs of tensors of one type, each of some size."""
    bucket: list[torch.Tensor] = []
    size = 0
    for value in values:
        if bucket and (size >= _BUCKET or value.dtype != bucket[0].dtype):
            yield bucket
            bucket, size = [], 0
        bucket.append(value)
        size += value.nbytes
    if bucket:
        yield bucket
