"""Random draws from the batch (negatives) and from the memory (positives)."""

from typing import Any

import keras
from keras import ops


def sample_negatives(batch_size: int, num_negatives: int, seed: Any) -> Any:
    """For each image K others of the batch, uniform without replacement.

    The negatives of ReLICv2 (arXiv 2201.05119), which SemPPL takes over.

    Args:
        batch_size: int, B, at least `num_negatives + 1`.
        num_negatives: int, K.
        seed: int or `keras.random.SeedGenerator`.

    Returns:
        `(B, K)` int32 indices; row b holds distinct indices other than b.

    Raises:
        ValueError: if the batch has no K others.
    """
    if not 1 <= num_negatives < batch_size:
        raise ValueError(
            "`num_negatives` must lie between 1 and the batch size less 1. Received: "
            f"num_negatives={num_negatives} for a batch of {batch_size} images."
        )
    # Floyd's algorithm, one draw per negative for all images at once: B x K
    # numbers, where ranking random keys would take B x B.
    u = keras.random.uniform((batch_size, num_negatives), dtype="float32", seed=seed)
    chosen: list[Any] = []
    for i in range(num_negatives):
        last = batch_size - 1 - num_negatives + i
        candidate = ops.cast(u[:, i] * (last + 1), "int32")
        # float32 may round the product up to last + 1.
        candidate = ops.minimum(candidate, last)
        if chosen:
            taken = ops.any(ops.stack(chosen, 1) == candidate[:, None], axis=1)
            candidate = ops.where(taken, last, candidate)
        chosen.append(candidate)
    # 0 .. B - 2 count the others from the image's right-hand neighbour on.
    own = ops.arange(batch_size, dtype="int32")
    return (own[:, None] + 1 + ops.stack(chosen, 1)) % batch_size


def sample_semantic_positives(
    image_labels: Any,
    memory_labels: Any,
    num_draws: int,
    num_classes: int,
    seed: Any,
) -> tuple[Any, Any]:
    """For each image entries of the memory with its label, with replacement.

    The semantic positives of SemPPL (arXiv 2301.05158).

    Args:
        image_labels: `(B,)` int, the (pseudo-)labels, -1 for none.
        memory_labels: `(C,)` int, -1 for an empty entry.
        num_draws: int, P.
        num_classes: int.
        seed: int or `keras.random.SeedGenerator`.

    Returns:
        indices `(P, B)` int32 into the memory, and `(B,)` boolean: whether the
        image's label has any entry (elsewhere the indices mean nothing).
    """
    image_labels = ops.cast(image_labels, "int32")
    memory_labels = ops.cast(memory_labels, "int32")
    capacity = memory_labels.shape[0]
    # Entries grouped by label, in the order of the queue. Unique keys make the
    # order the same on every backend: sorts need not be stable.
    group = ops.where(memory_labels >= 0, memory_labels, num_classes)
    grouped = ops.argsort(group * capacity + ops.arange(capacity, dtype="int32"))
    size = ops.segment_sum(
        ops.ones((capacity,), "int32"), group, num_segments=num_classes + 1
    )[:num_classes]
    start = ops.cumsum(size) - size

    # Out of range are the unlabelled, and whatever NaN embeddings voted for.
    safe = ops.clip(image_labels, 0, num_classes - 1)
    available = ops.take(size, safe, axis=0)
    found = ops.logical_and(image_labels >= 0, available > 0)
    u = keras.random.uniform(
        (num_draws, image_labels.shape[0]), dtype="float32", seed=seed
    )
    rank = ops.cast(u * ops.cast(available, "float32"), "int32")
    rank = ops.minimum(rank, ops.maximum(available - 1, 0))
    position = ops.minimum(ops.take(start, safe, axis=0) + rank, capacity - 1)
    return ops.cast(ops.take(grouped, position, axis=0), "int32"), found
