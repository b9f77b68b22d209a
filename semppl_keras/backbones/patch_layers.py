"""Layers of a network whose features are how much patches are like known ones."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="semppl_keras")
class PatchActivations(keras.layers.Layer):
    """How much the patches of an image are like those of a dictionary.

    Each patch, of which there is one around every pixel that leaves room for it, is
    brought to mean 0 and variance 1, whitened, and compared with all entries of the
    dictionary: what is above the threshold is averaged over each cell of a grid, and
    the square root is taken of it (Coates, Lee & Ng, AISTATS 2011, with a threshold of
    the similarity in place of the distances' mean).

    Args:
        size: int, pixels of a side of a patch.
        entries: int, of the dictionary.
        grid: int, cells along a side of the image.
        contrast_floor: float, what is added to the variance of a patch: that of noise.

    Input: images `(B, h, w, C)` in [0, 1]. Output: `(B, grid * grid * entries)`.
    """

    def __init__(
        self,
        size: int,
        entries: int,
        grid: int,
        contrast_floor: float = 0.01,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{**kwargs, "dtype": "float32", "trainable": False})
        self.size = size
        self.entries = entries
        self.grid = grid
        self.contrast_floor = contrast_floor

    def build(self, input_shape: Any) -> None:
        """Makes the dictionary, which `fit_patch_network` fills."""
        values = self.size**2 * input_shape[-1]
        self.kernel = self.add_weight(name="kernel", shape=(values, self.entries))
        self.bias = self.add_weight(name="bias", shape=(self.entries,))
        self.built = True

    def patches(self, images: Any) -> Any:
        """All patches `(B, h', w', size * size * C)`, of mean 0 and variance 1."""
        height, width = (side - self.size + 1 for side in images.shape[1:3])
        shifted = [
            images[:, row : row + height, column : column + width]
            for row in range(self.size)
            for column in range(self.size)
        ]
        patches = ops.concatenate(shifted, axis=-1)
        patches = patches - ops.mean(patches, axis=-1, keepdims=True)
        variance = ops.mean(ops.square(patches), axis=-1, keepdims=True)
        return patches / ops.sqrt(variance + self.contrast_floor)

    def call(self, images: Any) -> Any:
        """Features `(B, grid * grid * entries)` of images `(B, h, w, C)`."""
        patches = self.patches(ops.cast(images, "float32"))
        active = ops.relu(ops.matmul(patches, self.kernel) + self.bias)
        height, width = active.shape[1:3]
        pooled = ops.einsum(
            "gh,bhwk,vw->bgvk",
            _cell_means(height, self.grid),
            active,
            _cell_means(width, self.grid),
        )
        return _root(ops.reshape(pooled, (-1, self.grid**2 * self.entries)))

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """`(B, grid * grid * entries)`."""
        return (input_shape[0], self.grid**2 * self.entries)

    def get_config(self) -> dict[str, Any]:
        """The sizes; the dictionary is weights."""
        return {
            **super().get_config(),
            "size": self.size,
            "entries": self.entries,
            "grid": self.grid,
            "contrast_floor": self.contrast_floor,
        }


def _root(values: Any) -> Any:
    """The square root of what is 0 or more, whose gradient is finite at 0, too.

    A student that goes on from such a network is trained through it.
    """
    positive = values > 0
    return ops.where(positive, ops.sqrt(ops.where(positive, values, 1.0)), 0.0)


def _cell_means(length: int, cells: int) -> Any:
    """`(cells, length)`, the mean over each of equal cells, which share their edges."""
    rows = []
    for cell in range(cells):
        begin, end = cell * length // cells, -(-(cell + 1) * length // cells)
        inside = [begin <= place < end for place in range(length)]
        rows.append([one / (end - begin) for one in inside])
    return ops.convert_to_tensor(rows, dtype="float32")
