"""How far apart directions are."""

from typing import Any

from keras import ops


def cosine_distances(first: Any, second: Any) -> Any:
    """`2 - 2 cos` of the angle between rows, the squared distance of unit vectors.

    Args:
        first, second: `(B, D)`, of any length; a row of zeros is at distance 2.

    Returns:
        `(B,)` float32 in [0, 4].
    """
    first, second = _directions(first), _directions(second)
    return 2.0 - 2.0 * ops.sum(first * second, axis=-1)


def _directions(vectors: Any) -> Any:
    vectors = ops.cast(vectors, "float32")
    square = ops.sum(ops.square(vectors), axis=-1, keepdims=True)
    # The bound inside the root keeps the gradient finite at 0 as well.
    return vectors * ops.rsqrt(ops.maximum(square, 1e-12))
