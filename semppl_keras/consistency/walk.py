"""Walks over small graphs: what arrives at their first nodes."""

from typing import Any

from keras import ops

_TERMS = 3


def walk(transitions: Any, alpha: float) -> Any:
    """How much of each node arrives at the first one.

    The first row of `(1 - alpha) (I - alpha A)^-1`, of whose series the terms up to
    `alpha^3 A^3` are taken, scaled to the sum of 1 that the whole has.

    Args:
        transitions: `(U, N, N)`, A, rows of sum 1.
        alpha: float in [0, 1).

    Returns:
        `(U, N)`, rows of sum 1.
    """
    first = ops.one_hot(0, transitions.shape[-1], dtype="float32")
    row = ops.zeros_like(transitions[:, 0]) + first
    total, share = row, 1.0
    for term in range(1, _TERMS + 1):
        row = ops.matmul(row[:, None], transitions)[:, 0]
        total = total + alpha**term * row
        share += alpha**term
    return total / share
