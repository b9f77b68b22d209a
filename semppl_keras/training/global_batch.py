"""The batch of all replicas, seen from one of them."""

from typing import Any

import keras
from keras import ops

from semppl_keras.training.backends import replicas


def share_of_loss(loss: Any) -> Any:
    """A mean over own images as this replica's share of the mean over all.

    The gradients of the replicas are added up.
    """
    count = replicas.count()
    return loss / count if count > 1 else loss


class GlobalBatch:
    """Makes the replicas of a step compute what one device would.

    Each replica holds an equal share of the images. They are counted in the order in
    which one device would hold them: of each part (unlabelled, labelled) all
    replicas' images, one replica after the other. Where one program sees the whole
    batch there is nothing to do, and nothing is done.

    Args:
        *sizes: ints, images of each part on this replica.
    """

    def __init__(self, *sizes: int) -> None:
        self.sizes = sizes
        self._replicas = replicas.count()
        self.size = self._replicas * sum(sizes)

    def own(self, values: Any, axis: int = 0) -> Any:
        """This replica's rows.

        Args:
            values: one row for each image of the global batch along `axis`.
            axis: int.
        """
        if self._replicas == 1:
            return values
        replica = ops.cast(replicas.index(), "int32")
        rows, start = [], 0
        for size in self.sizes:
            rows.append(start + replica * size + ops.arange(size, dtype="int32"))
            start += self._replicas * size
        return ops.take(values, ops.concatenate(rows), axis=axis)

    def gather(self, values: Any, axis: int = 0) -> Any:
        """All replicas' rows; a gradient goes back to the replica of each.

        Args:
            values: one row for each image of this replica along `axis`, numbers.
            axis: int.
        """
        if self._replicas == 1:
            return values
        values = ops.moveaxis(values, axis, 0)
        shares = replicas.shares(values)
        parts, start = [], 0
        for size in self.sizes:
            part = shares[:, start : start + size]
            parts.append(ops.reshape(part, (-1, *values.shape[1:])))
            start += size
        return ops.moveaxis(ops.concatenate(parts), 0, axis)

    def mean(self, value: Any) -> Any:
        """The mean of a value over the replicas."""
        if self._replicas == 1:
            return value
        return replicas.total(value) / self._replicas

    def uniform(self, shape: tuple[int, ...], seed: Any = None) -> Any:
        """float32 that `keras.random.uniform` draws for the own images.

        All replicas draw the numbers of all images, from the same seed, and take
        theirs.

        Args:
            shape: tuple, of which the first entry counts the own images.
            seed: as for `keras.random.uniform`.
        """
        shape = (self.size, *shape[1:])
        return self.own(keras.random.uniform(shape, dtype="float32", seed=seed))
