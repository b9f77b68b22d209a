"""The labelled memory: first-in-first-out queues of target embeddings."""

from typing import Any

import keras
import numpy as np
from keras import ops


def enqueue(
    embeddings: Any, labels: Any, position: Any, new_embeddings: Any, new_labels: Any
) -> tuple[Any, Any, Any]:
    """Writes a labelled batch into the memory, over its oldest entries.

    With a single `position` the entries are one queue, in which a rare class is
    overwritten by the others. With one for each class, class y has the entries y,
    y + num_classes, y + 2 * num_classes, ... to itself, a queue of its own.

    Args:
        embeddings: `(L, C, D)`, the memory.
        labels: `(C,)` int32, -1 for an empty entry.
        position: `()` int32, the entry to write next; or `(num_classes,)` int32, which
            of its entries each class writes next. At most C classes.
        new_embeddings: `(L, N, D)`; of a batch larger than a queue the last stay.
        new_labels: `(N,)` int32 in [0, num_classes).

    Returns:
        The new embeddings, labels and position.
    """
    views, capacity, size = embeddings.shape
    count = new_embeddings.shape[1]
    if count == 0:
        return embeddings, labels, position
    new_labels = ops.cast(new_labels, labels.dtype)
    if len(position.shape) == 0:
        kept = min(count, capacity)
        new_embeddings, new_labels = new_embeddings[:, -kept:], new_labels[-kept:]
        first = position + (count - kept)
        entry = (first + ops.arange(kept, dtype="int32")) % capacity
        position = (position + count) % capacity
    else:
        source, entry, position = _entries_by_class(new_labels, position, capacity)
        new_embeddings = ops.take(new_embeddings, source, axis=1)
        new_labels = ops.take(new_labels, source, axis=0)

    # One scatter over rows: view j's entry c is row j * C + c.
    row = ops.reshape(
        ops.arange(views, dtype="int32")[:, None] * capacity + entry, (-1, 1)
    )
    embeddings = ops.scatter_update(
        ops.reshape(embeddings, (-1, size)),
        row,
        ops.reshape(ops.cast(new_embeddings, embeddings.dtype), (-1, size)),
    )
    labels = ops.scatter_update(labels, entry[:, None], new_labels)
    return ops.reshape(embeddings, (views, capacity, size)), labels, position


def _entries_by_class(
    new_labels: Any, position: Any, capacity: int
) -> tuple[Any, Any, Any]:
    """Which images of a batch go to which entries, each class to its own.

    Args:
        new_labels: `(N,)` int32.
        position: `(num_classes,)` int32.
        capacity: int, C.

    Returns:
        images `(N,)` of the batch, their entries `(N,)` in the memory, and the new
        position. An image for which there is no room gives way to the one that takes
        its entry: entries come more than once with one and the same image, so that
        the order of writing does not matter.
    """
    num_classes, count = position.shape[0], new_labels.shape[0]
    number = ops.arange(count, dtype="int32")
    # Grouped by class, in the order of the batch. Unique keys make the order the same
    # on every backend: sorts need not be stable.
    grouped = ops.cast(ops.argsort(new_labels * count + number), "int32")
    own_class = ops.take(new_labels, grouped, axis=0)
    size = ops.segment_sum(
        ops.ones((count,), "int32"), new_labels, num_segments=num_classes
    )
    start = ops.cast(ops.cumsum(size), "int32") - size
    own_size = ops.take(size, own_class, axis=0)
    own_start = ops.take(start, own_class, axis=0)
    rank = number - own_start

    own_length = queue_lengths(own_class, capacity, num_classes)
    slot = (ops.take(position, own_class, axis=0) + rank) % own_length
    last = own_size - 1 - (own_size - 1 - rank) % own_length
    images = ops.take(grouped, own_start + last, axis=0)
    length = queue_lengths(
        ops.arange(num_classes, dtype="int32"), capacity, num_classes
    )
    return images, slot * num_classes + own_class, (position + size) % length


def queue_lengths(classes: Any, capacity: int, num_classes: int) -> Any:
    """How many of the entries are those of a class: they differ by one at most."""
    return (capacity - 1 - classes) // num_classes + 1


@keras.saving.register_keras_serializable(package="semppl_keras")
class LabelledMemory(keras.layers.Layer):
    """The queue's state as non-trainable variables, saved with the model.

    Under tf.distribute every replica has a copy and writes the labelled images of all
    replicas to it: the copies stay alike, and none has to be sent.

    Args:
        num_views: int, L, large views.
        capacity: int, C, entries.
        dim: int, D.
        num_classes: int or None. With it every class keeps C / num_classes entries of
            its own, the first classes one more where that leaves a rest, however rare
            it is. None: all labels share one queue.

    Attributes:
        embeddings: `(L, C, D)` float32.
        labels: `(C,)` int32, -1 for an empty entry.
        position: int32, what is written next: `()`, or `(num_classes,)`, see
            `enqueue`.

    Raises:
        ValueError: if there are more classes than entries.
    """

    def __init__(
        self,
        num_views: int,
        capacity: int,
        dim: int,
        num_classes: int | None = None,
        **kwargs: Any,
    ) -> None:
        if num_classes is not None and num_classes > capacity:
            raise ValueError(
                "`capacity` must be at least `num_classes`, an entry for each class. "
                f"Received: capacity={capacity}, num_classes={num_classes}."
            )
        # The similarities are computed in float32 under every policy, so the
        # entries are kept in it.
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.num_views = num_views
        self.capacity = capacity
        self.dim = dim
        self.num_classes = num_classes

        def state(
            name: str, shape: tuple[int, ...], dtype: str, initializer: Any
        ) -> Any:
            return self.add_weight(
                name=name,
                shape=shape,
                dtype=dtype,
                initializer=initializer,
                trainable=False,
            )

        self.embeddings = state(
            "embeddings", (num_views, capacity, dim), "float32", "zeros"
        )
        self.labels = state(
            "labels", (capacity,), "int32", keras.initializers.Constant(-1)
        )
        shape = () if num_classes is None else (num_classes,)
        self.position = state("position", shape, "int32", "zeros")
        self.built = True

    def enqueued(self, embeddings: Any, labels: Any) -> tuple[Any, Any, Any]:
        """The state after a labelled batch has been written; assigns nothing.

        Args:
            embeddings: `(L, N, D)` target embeddings.
            labels: `(N,)` int32.

        Returns:
            Embeddings, labels and position, in the order of `state`.
        """
        kept, kept_labels, position = (variable.value for variable in self.state)
        return enqueue(kept, kept_labels, position, embeddings, labels)

    @property
    def state(self) -> list[Any]:
        """The variables: embeddings, labels, position."""
        return [self.embeddings, self.labels, self.position]

    def stored_labels(self) -> np.ndarray:
        """`(C,)` int32 of the entries as they stand, -1 for an empty one."""
        return ops.convert_to_numpy(self.labels)

    def get_config(self) -> dict[str, Any]:
        """Its sizes; the contents are weights."""
        return {
            **super().get_config(),
            "num_views": self.num_views,
            "capacity": self.capacity,
            "dim": self.dim,
            "num_classes": self.num_classes,
        }
