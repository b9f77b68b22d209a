"""A square of each image that nobody sees."""

from typing import Any

import keras
from keras import ops

from semppl_keras.checks import check_share
from semppl_keras.views import draws
from semppl_keras.views.checks import check_range, check_unit_images

# A middle grey, in the unit range.
GREY = 0.5


def squares(rows: Any, columns: Any, side: Any, shape: tuple[int, int]) -> Any:
    """Where a square lies, cut off at the edge of the image.

    Args:
        rows, columns: `(...)` in [0, 1], its centre in shares of height and width.
        side: `(...)`, its side in shares of the image's sides.
        shape: (h, w), pixels.

    Returns:
        `(..., h, w)` boolean, True in the square.
    """
    inside_rows, inside_columns = (
        ops.abs((ops.arange(size, dtype="float32") + 0.5) / size - centre[..., None])
        < side[..., None] / 2
        for size, centre in zip(shape, (rows, columns), strict=True)
    )
    return inside_rows[..., :, None] & inside_columns[..., None, :]


@keras.saving.register_keras_serializable(package="semppl_keras")
class Cutout(keras.layers.Layer):
    """Fills a square of every image, each at its own place, with one value.

    The centre may be any point of the image, and what reaches beyond the edge is cut
    off (DeVries and Taylor, arXiv 1708.04552): half the side and a middle grey are
    what FixMatch ends its strong views with.

    Example:

    ```python
    cut = Cutout(0.5)(images, seed=0)      # (B, h, w, C) in [0, 1]
    ```

    Args:
        size: float in [0, 1], the square's side in shares of the image's sides; or a
            pair, the range from which each image draws it, such as (0, 0.5).
        fill: float, the value of all channels in the square.
        probability: float in [0, 1], the share of images that have a square.
    """

    def __init__(
        self,
        size: float | tuple[float, float] = 0.5,
        fill: float = GREY,
        probability: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        check_share(fill=fill, probability=probability)
        self.size = check_range("size", size)
        self.fill = fill
        self.probability = probability
        self.built = True

    def call(self, images: Any, seed: Any = None, uniform: Any = None) -> Any:
        """Cuts the squares.

        Args:
            images: `(B, h, w, C)` floats in [0, 1].
            seed, uniform: as for `MultiCrop`.

        Returns:
            `(B, h, w, C)` float32.
        """
        check_unit_images(images)
        images = ops.cast(images, "float32")
        u = (uniform or draws.uniform)((ops.shape(images)[0], 4), seed=seed)
        smallest, largest = self.size
        side = smallest + (largest - smallest) * u[:, 2]
        side = ops.where(u[:, 3] < self.probability, side, 0.0)
        cut = squares(u[:, 0], u[:, 1], side, images.shape[1:3])
        return ops.where(cut[..., None], self.fill, images)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "size": self.size,
            "fill": self.fill,
            "probability": self.probability,
        }
