"""What a memory holds, taken over by another that is for other classes."""

from collections.abc import Mapping, Sequence

import numpy as np
from keras import ops

from semppl_keras.memory.queue import LabelledMemory, queue_lengths

# Written at once: `enqueue` sorts them by integers that grow with their number.
_ROWS_AT_ONCE = 4096


def carry_over(
    source: LabelledMemory, memory: LabelledMemory, numbers: Mapping[int, int]
) -> int:
    """Writes what one memory holds into another, oldest first.

    Args:
        source: of as many views and of the same dimension as `memory`.
        memory: written to; what it holds gives way where there is no room for both.
        numbers: of each class of `source` that `memory` has, its number there. The
            entries of others are left out.

    Returns:
        How many entries were taken over, those included that gave way again.

    Raises:
        ValueError: if the embeddings are of another kind.
    """
    if (source.num_views, source.dim) != (memory.num_views, memory.dim):
        raise ValueError(
            f"`source` must hold {memory.num_views} view(s) of {memory.dim} numbers, "
            f"as `memory` does. Received: {source.num_views} of {source.dim}."
        )
    labels = source.stored_labels()
    position = ops.convert_to_numpy(source.position)
    order = oldest_first(labels, position)
    order = order[np.isin(labels[order], list(numbers))]
    embeddings = ops.convert_to_numpy(source.embeddings)[:, order]
    remember(memory, embeddings, [numbers[int(labels[entry])] for entry in order])
    return len(order)


def remember(
    memory: LabelledMemory, embeddings: np.ndarray, labels: Sequence[int] | np.ndarray
) -> None:
    """Writes embeddings into a memory, outside of a training.

    Args:
        memory: written to.
        embeddings: `(L, N, D)`, of length 1.
        labels: `(N,)` numbers of classes.
    """
    numbers = np.asarray(labels, "int32")
    for start in range(0, len(numbers), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        values = memory.enqueued(
            ops.convert_to_tensor(embeddings[:, rows], "float32"),
            ops.convert_to_tensor(numbers[rows]),
        )
        for variable, value in zip(memory.state, values, strict=True):
            variable.assign(value)


def forget(memory: LabelledMemory) -> None:
    """Empties a memory."""
    memory.embeddings.assign(np.zeros(memory.embeddings.shape, "float32"))
    memory.labels.assign(np.full(memory.labels.shape, -1, "int32"))
    memory.position.assign(np.zeros(memory.position.shape, "int32"))


def oldest_first(labels: np.ndarray, position: np.ndarray) -> np.ndarray:
    """The entries of a memory that hold something, in the order of their writing.

    Args:
        labels: `(C,)`, -1 for an empty entry.
        position: as in `enqueue`. With one for each class, what these were written
            after each other is not known: the newest of each stand together.

    Returns:
        Indices.
    """
    capacity = len(labels)
    entries = np.arange(capacity)
    if position.ndim == 0:
        newer = (position - 1 - entries) % capacity
        own_class = np.zeros(capacity, "int64")
    else:
        own_class = entries % len(position)
        length = queue_lengths(own_class, capacity, len(position))
        newer = (position[own_class] - 1 - entries // len(position)) % length
    order = np.lexsort((own_class, -newer))
    return order[labels[order] >= 0]
