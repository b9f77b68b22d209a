"""Memory that a training takes and gives back in every step, kept in between."""

import contextlib
import ctypes
import os
import sys
import threading
from collections.abc import Iterator

# Parameters of glibc's mallopt, see mallopt(3), by their numbers in malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_LARGEST = 2**31 - 1
# Blocks are parts of the heap, whatever their size, and its end stays when it is free.
_KEPT = {_MMAP_MAX: 0, _TRIM_THRESHOLD: _LARGEST}
# What these are at first, and what the thresholds, which are fixed once one parameter
# has been set, would have risen to by themselves.
_AS_BEFORE = {
    _MMAP_MAX: 65536,
    _MMAP_THRESHOLD: 32 * 2**20,
    _TRIM_THRESHOLD: 64 * 2**20,
}
_USERS_OWN = ("MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")

_lock = threading.Lock()
_trainings = 0


@contextlib.contextmanager
def kept_memory() -> Iterator[None]:
    """A training on a processor: what its steps free is there for the next one.

    What the layers of a large batch give lies in blocks that glibc gets from the
    system one by one and gives back when they are freed, and the system clears their
    pages anew in every step. Within this context they stay with the process, and at
    its end the free ones go back. It does nothing without glibc, or where the user has
    set how glibc keeps memory, by MALLOC_ variables or GLIBC_TUNABLES.
    """
    libc = _libc()
    if libc is None:
        yield
        return
    _count(libc, 1)
    try:
        yield
    finally:
        _count(libc, -1)


def _libc() -> ctypes.CDLL | None:
    """glibc, if it is what gives this process its memory as it chooses."""
    tuned = "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "")
    if sys.platform != "linux" or tuned or any(map(os.environ.get, _USERS_OWN)):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "gnu_get_libc_version") else None


def _count(libc: ctypes.CDLL, change: int) -> None:
    """Sets how memory is kept when the first training begins, and the last one ends."""
    global _trainings
    with _lock:
        others = _trainings if change > 0 else _trainings - 1
        _trainings += change
        if others:
            return
        for parameter, value in (_KEPT if change > 0 else _AS_BEFORE).items():
            libc.mallopt(parameter, value)
        if change < 0:
            libc.malloc_trim(0)
