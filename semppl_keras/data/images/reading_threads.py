"""Threads that read images while the step of a training runs."""

import collections
import collections.abc
import concurrent.futures
import functools
import itertools
import os
import time
from typing import Any

from semppl_keras.data.images.decoding import cores

# Batches that are decoded ahead of the one that is trained on: one alone would be
# waited for whenever its largest image takes longer than the others.
AHEAD = 3

Read = collections.abc.Callable[..., Any]


def read_ahead(
    read: Read,
    picks: collections.abc.Iterable[Any],
    wanted: collections.abc.Callable[[Any], list[tuple[Any, ...]]],
    ahead: int = AHEAD,
) -> collections.abc.Iterator[tuple[Any, list[Any], float]]:
    """What threads read, batch after batch, the next batches while one is made use of.

    Args:
        read: Reads one; in several threads at once.
        picks: What tells of each batch what is in it.
        wanted: From that to the arguments of `read`, for each in the batch.
        ahead: Batches.

    Yields:
        What tells of a batch, what was read, and the seconds that were waited for it.
    """
    waiting: collections.deque[Any] = collections.deque()
    picks = iter(picks)
    while True:
        for pick in itertools.islice(picks, ahead + 1 - len(waiting)):
            futures = [_pool(os.getpid()).submit(read, *one) for one in wanted(pick)]
            waiting.append((pick, futures))
        if not waiting:
            return
        pick, futures = waiting.popleft()
        begun = time.monotonic()
        pixels = [future.result() for future in futures]
        yield pick, pixels, time.monotonic() - begun


def in_pieces(
    read: Read, wanted: collections.abc.Iterable[tuple[Any, ...]], size: int
) -> collections.abc.Iterator[Any]:
    """What threads read, in order.

    Args:
        read: As `read_ahead` takes it.
        wanted: Its arguments, for each.
        size: How many are waiting at once.
    """
    waiting: collections.deque[Any] = collections.deque()
    for one in wanted:
        waiting.append(_pool(os.getpid()).submit(read, *one))
        if len(waiting) >= size:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


@functools.cache
def _pool(process: int) -> concurrent.futures.ThreadPoolExecutor:
    """The threads of a process, which is another one after a fork."""
    del process
    return concurrent.futures.ThreadPoolExecutor(cores(), "semppl_read")
