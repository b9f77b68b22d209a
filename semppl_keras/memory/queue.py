"""The labelled memory: a first-in-first-out queue of target embeddings."""

import keras
from keras import ops


def enqueue(embeddings, labels, position, new_embeddings, new_labels):
    """Writes a labelled batch into the queue, over its oldest entries.

    Args:
        embeddings: `(L, C, D)`, the queue.
        labels: `(C,)` int32, -1 for an empty entry.
        position: `()` int32, the entry to write next.
        new_embeddings: `(L, N, D)`; of a batch larger than C the last C stay.
        new_labels: `(N,)` int32.

    Returns:
        The new embeddings, labels and position.
    """
    views, capacity, size = embeddings.shape
    count = new_embeddings.shape[1]
    if count == 0:
        return embeddings, labels, position
    kept = min(count, capacity)
    new_embeddings, new_labels = new_embeddings[:, -kept:], new_labels[-kept:]

    first = position + (count - kept)
    entry = (first + ops.arange(kept, dtype="int32")) % capacity
    # One scatter over rows: view j's entry c is row j * C + c.
    row = ops.reshape(
        ops.arange(views, dtype="int32")[:, None] * capacity + entry, (-1, 1)
    )
    embeddings = ops.scatter_update(
        ops.reshape(embeddings, (-1, size)),
        row,
        ops.reshape(ops.cast(new_embeddings, embeddings.dtype), (-1, size)),
    )
    labels = ops.scatter_update(
        labels, entry[:, None], ops.cast(new_labels, labels.dtype)
    )
    return (
        ops.reshape(embeddings, (views, capacity, size)),
        labels,
        (position + count) % capacity,
    )


@keras.saving.register_keras_serializable(package="semppl_keras")
class LabelledMemory(keras.layers.Layer):
    """The queue's state as non-trainable variables, saved with the model.

    Under tf.distribute every replica has a copy and writes the labelled images of all
    replicas to it: the copies stay alike, and none has to be sent.

    Args:
        num_views: int, L, large views.
        capacity: int, C, entries.
        dim: int, D.

    Attributes:
        embeddings: `(L, C, D)` float32.
        labels: `(C,)` int32, -1 for an empty entry.
        position: `()` int32, the entry to write next.
    """

    def __init__(self, num_views, capacity, dim, **kwargs):
        # The similarities are computed in float32 under every policy, so the
        # entries are kept in it.
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.num_views = num_views
        self.capacity = capacity
        self.dim = dim

        def state(name, shape, dtype, initializer):
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
        self.position = state("position", (), "int32", "zeros")
        self.built = True

    def enqueued(self, embeddings, labels):
        """The state after a labelled batch has been written; assigns nothing.

        Args:
            embeddings: `(L, N, D)` target embeddings.
            labels: `(N,)` int32.

        Returns:
            Embeddings, labels and position, in the order of `state`.
        """
        return enqueue(*(variable.value for variable in self.state), embeddings, labels)

    @property
    def state(self):
        """The variables: embeddings, labels, position."""
        return [self.embeddings, self.labels, self.position]

    def get_config(self):
        """Number of views, capacity and dimension; the contents are weights."""
        return {
            **super().get_config(),
            "num_views": self.num_views,
            "capacity": self.capacity,
            "dim": self.dim,
        }
