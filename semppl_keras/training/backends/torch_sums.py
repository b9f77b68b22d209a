"""What processes add up around a step on torch: gradients and metrics.

Not by `DistributedDataParallel`: it hooks into the forward pass of the module that it
wraps, and Keras' trainer calls the model itself; it averages, where shares of a loss
are to be added up; and it knows parameters by their names in the module, which on Keras
layers of one name share. As by it, gradients are sent while the backward pass goes on,
25 MiB of them as soon as they are there: all processes compute them in one order.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import keras
import torch
from torch import distributed

# Bytes that are sent together, as by DistributedDataParallel.
_BUCKET = 25 * 2**20


@contextlib.contextmanager
def gradients_added_up_first(
    optimizer: keras.optimizers.Optimizer, variables: Iterable[Any]
) -> Iterator[None]:
    """Within it `optimizer` is given the gradients of all processes.

    It clips, unscales and accumulates these, as one process would. For the step and not
    for good: the optimiser is the user's.

    Args:
        optimizer: built.
        variables: whose gradients are sent as soon as the backward pass has them.
    """
    apply, sums = optimizer.apply, _Sums()

    def apply_total(grads: Sequence[Any], trainable_variables: Any = None) -> None:
        known = [grad for grad in grads if grad is not None]
        sent = {id(grad): total for grad, total in sums.taken()}
        if sums.changed() or sent.keys() != {*map(id, known)}:
            # Others than were sent, or they have changed since: a second backward pass
            # has added to them, or a step of one's own clips them. All processes find
            # so or none does, as they run one program: what changes gradients changes
            # them everywhere, by a factor of 1 where they are small enough.
            sent = dict(zip(map(id, known), added_up(known), strict=True))
        total = [None if grad is None else sent[id(grad)] for grad in grads]
        apply(total, trainable_variables)

    with contextlib.ExitStack() as undone:
        for variable in variables:
            # Those of a wrapped module may be frozen in torch alone: they have none.
            if variable.value.requires_grad:
                hook = variable.value.register_post_accumulate_grad_hook(
                    lambda parameter: sums.add(parameter.grad)
                )
                undone.callback(hook.remove)
        vars(optimizer)["apply"] = apply_total
        undone.callback(vars(optimizer).pop, "apply")
        yield


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


def added_up(values: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    """The sums over the processes of tensors, the same ones in each of them."""
    sums = _Sums()
    for value in values:
        sums.add(value)
    return [total for _, total in sums.taken()]


class _Sums:
    """The sums over the processes of tensors that come one by one, the same ones in
    each of them and in one order; sent in buckets of one type, of some size."""

    def __init__(self) -> None:
        self._versions: list[tuple[torch.Tensor, int]] = []
        self._bucket: list[torch.Tensor] = []
        self._bytes = 0
        self._sent: list[tuple[list[torch.Tensor], torch.Tensor, Any]] = []

    @torch.no_grad()
    def add(self, value: torch.Tensor) -> None:
        if self._bucket and value.dtype != self._bucket[0].dtype:
            self._send()
        self._versions.append((value, value._version))
        self._bucket.append(value)
        self._bytes += value.nbytes
        if self._bytes >= _BUCKET:
            self._send()

    @torch.no_grad()
    def taken(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """All of them, each with its sum, once these are there."""
        if self._bucket:
            self._send()
        totals = []
        for bucket, joined, work in self._sent:
            work.wait()
            parts = joined.split([value.numel() for value in bucket])
            totals += [
                (value, part.view(value.shape))
                for part, value in zip(parts, bucket, strict=True)
            ]
        return totals

    def changed(self) -> bool:
        """Whether any was changed in place since it came, which torch counts."""
        return any(value._version != version for value, version in self._versions)

    def _send(self) -> None:
        joined = torch.cat([value.reshape(-1) for value in self._bucket])
        work = distributed.all_reduce(joined, async_op=True)
        self._sent.append((self._bucket, joined, work))
        self._bucket, self._bytes = [], 0
