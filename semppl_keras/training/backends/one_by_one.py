"""Variables that move towards others, one after the other: a compiler joins them."""

from collections.abc import Iterable
from typing import Any

from keras import ops


def move(pairs: Iterable[tuple[Any, Any]], share: Any) -> None:
    """`a <- a + share (w - a)`.

    Args:
        pairs: of variables of floats, a and w.
        share: float or float scalar.
    """
    for mean, weight in pairs:
        mean.assign(mean + ops.cast(share, mean.dtype) * (weight - mean))
