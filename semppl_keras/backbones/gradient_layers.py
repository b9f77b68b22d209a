"""A layer that tells which way brightness rises in which part of an image."""

import math
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="semppl_keras")
class OrientedGradients(keras.layers.Layer):
    """Histograms of oriented gradients: see `evaluation.hog_features`, which is this.

    Of each cell of the image, how long the gradients are in each direction: the square
    root of the share of the whole.

    Args:
        cell_size: int, pixels of a cell's side; as near to it as the image can be
            divided into equal parts.
        orientations: int, directions all around the circle.

    Input: images `(B, h, w, C)`, of any range. Output: `(B, cells * orientations)`.
    """

    def __init__(
        self, cell_size: int = 4, orientations: int = 16, **kwargs: Any
    ) -> None:
        super().__init__(**{**kwargs, "dtype": "float32", "trainable": False})
        self.cell_size = cell_size
        self.orientations = orientations

    def call(self, images: Any) -> Any:
        """Histograms `(B, cells * orientations)` of images `(B, h, w, C)`."""
        images = ops.cast(images, "float32")
        height, width = images.shape[1:3]
        padded = ops.concatenate([images[:, :1], images, images[:, -1:]], axis=1)
        down = (padded[:, 2:] - padded[:, :-2]) / 2
        padded = ops.concatenate([images[:, :, :1], images, images[:, :, -1:]], axis=2)
        right = (padded[:, :, 2:] - padded[:, :, :-2]) / 2
        lengths = ops.sqrt(down * down + right * right)
        # Of several channels that of the longest gradient, the first of equal ones.
        # (Without argmax, which not every served format has.)
        longest = ops.cast(
            lengths >= ops.max(lengths, axis=-1, keepdims=True), "float32"
        )
        longest = longest * ops.cast(ops.cumsum(longest, axis=-1) < 1.5, "float32")
        down, right, lengths = (
            ops.sum(values * longest, axis=-1) for values in (down, right, lengths)
        )
        angles = ops.arctan2(down, right) * (self.orientations / (2 * math.pi))
        directions = ops.arange(self.orientations, dtype="float32")
        apart = ops.abs(angles[..., None] - directions)
        apart = ops.minimum(apart, ops.abs(apart - self.orientations))
        votes = ops.relu(1 - apart) * lengths[..., None]
        cells = ops.einsum(
            "rh,bhwo,cw->borc",
            _nearness(height, self.cell_size),
            votes,
            _nearness(width, self.cell_size),
        )
        cells = ops.reshape(cells, (-1, self._size((None, height, width, 1))))
        sums = ops.sum(cells, axis=-1, keepdims=True)
        return ops.sqrt(cells / ops.where(sums > 0, sums, 1.0))

    def _size(self, input_shape: Any) -> int:
        rows, columns = (_cells(side, self.cell_size) for side in input_shape[1:3])
        return self.orientations * rows * columns

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """`(B, cells * orientations)`."""
        return (input_shape[0], self._size(input_shape))

    def get_config(self) -> dict[str, Any]:
        """Its arguments."""
        return {
            **super().get_config(),
            "cell_size": self.cell_size,
            "orientations": self.orientations,
        }


def _cells(side: int, cell_size: int) -> int:
    return max(1, round(side / cell_size))


def _nearness(side: int, cell_size: int) -> Any:
    """`(cells, side)`: 1 in the middle of a cell, 0 beyond its neighbours' middles."""
    count = _cells(side, cell_size)
    places = (ops.arange(side, dtype="float32") + 0.5) * (count / side)
    middles = ops.arange(count, dtype="float32") + 0.5
    return ops.relu(1 - ops.abs(places[None, :] - middles[:, None]))
