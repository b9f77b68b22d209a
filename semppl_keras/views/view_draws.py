"""What is drawn for each random view of each image."""

import math
from typing import TYPE_CHECKING, Any

from keras import ops

from semppl_keras.views import color, spatial

if TYPE_CHECKING:
    from semppl_keras.views.multi_crop import MultiCrop

# Column by column. Column 10 is free: the others stay where they are, so that a seed
# gives the views that it gave.
_BOX = slice(0, 4)
_FLIP, _JITTER, _BRIGHTNESS, _CONTRAST, _SATURATION, _HUE = range(4, 10)
_GRAYSCALE, _BLUR, _SIGMA, _SOLARIZE, _REMOVAL, _ANGLE, _SHEAR = range(11, 18)
_NUM_DRAWS = 18


class ViewDraws:
    """Random numbers for V views of B images, as the settings of a `MultiCrop` read
    them.

    All are drawn at once, whether a setting needs them or not: a setting that is
    changed leaves what the others draw as it was.

    Args:
        settings: the `MultiCrop`.
        views: range, which of its views these are.
        num_images: int or scalar tensor, B.
        seed, uniform: as for the call of `MultiCrop`.
    """

    def __init__(
        self,
        settings: "MultiCrop",
        views: range,
        num_images: Any,
        seed: Any,
        uniform: Any,
    ) -> None:
        self._settings = settings
        self._views = views
        self._u = uniform((num_images, len(views), _NUM_DRAWS), seed=seed)

    def spatial_maps(self, size: int, shape: tuple[Any, Any]) -> tuple[Any, Any]:
        """What crops, flips, resizes and blurs the rows and the columns of an image.

        Args:
            size: int, pixels of a side of a view.
            shape: (height, width) of the images.

        Returns:
            `(B, V, size, height)` and `(B, V, size, width)`.
        """
        settings = self._settings
        area = self._by_kind(settings.large_area, settings.small_area)
        top, left, box_height, box_width = spatial.random_boxes(
            self._u[..., _BOX], *shape, area, settings.aspect_ratio, settings.shift
        )
        flip = self._u[..., _FLIP] < settings.flip
        rows = spatial.resize_matrix(top, box_height, size, shape[0])
        columns = spatial.resize_matrix(left, box_width, size, shape[1], flip=flip)
        if any(settings.blur):
            blurring = spatial.blur_matrix(
                self._sigma(), size, spatial.blur_radius(size)
            )
            rows, columns = ops.matmul(blurring, rows), ops.matmul(blurring, columns)
        return rows, columns

    def _sigma(self) -> Any:
        """`(B, V)`, the blur's standard deviation, 0 for none."""
        low, high = self._settings.blur_sigma
        sigma = low + (high - low) * self._u[..., _SIGMA]
        blurred = self._u[..., _BLUR] < self._alternating(self._settings.blur)
        return ops.where(blurred, sigma, 0.0)

    @property
    def background_removed(self) -> Any:
        """`(B, V)` boolean, which views lack the background."""
        return self._u[..., _REMOVAL] < self._by_kind(
            self._settings.background_removal, 0.0
        )

    @property
    def angle(self) -> Any:
        """`(B, V)` in radians."""
        return math.radians(self._settings.rotation) * self._signed(_ANGLE)

    @property
    def shear(self) -> Any:
        """`(B, V)`, the tangent of the angle of the columns."""
        return self._settings.shear * self._signed(_SHEAR)

    def color_map(self, mean: Any) -> tuple[Any, Any]:
        """Jitter, then greyscale, as one affine map.

        Args:
            mean: `(B, V, C)`, the mean colour of each view.

        Returns:
            matrix `(B, V, C, C)` and offset `(B, V, 1)`.
        """
        settings = self._settings
        jittered = ops.cast(self._u[..., _JITTER] < settings.color_jitter, "float32")
        grey = self._u[..., _GRAYSCALE] < settings.grayscale

        def change(column: int, strength: float) -> Any:
            return jittered * strength * self._signed(column)

        saturation = 1.0 + change(_SATURATION, settings.saturation)
        return color.jitter_map(
            mean,
            brightness=1.0 + change(_BRIGHTNESS, settings.brightness),
            contrast=1.0 + change(_CONTRAST, settings.contrast),
            saturation=ops.where(grey, 0.0, saturation),
            hue=change(_HUE, settings.hue),
        )

    @property
    def solarized(self) -> Any:
        """`(B, V)` boolean, which views are solarised."""
        return self._u[..., _SOLARIZE] < self._alternating(self._settings.solarize)

    def _signed(self, column: int) -> Any:
        """`(B, V)` in [-1, 1)."""
        return 2.0 * self._u[..., column] - 1.0

    def _by_kind(self, large: Any, small: Any) -> Any:
        """A setting that large and small views have each their own of, `(V, ...)`."""
        num_large = self._settings.num_large
        values = [large if view < num_large else small for view in self._views]
        return ops.convert_to_tensor(values, "float32")

    def _alternating(self, pair: Any) -> Any:
        """A setting of views 0, 2, ... and one of views 1, 3, ..., `(V,)`."""
        return ops.convert_to_tensor(
            [pair[view % 2] for view in self._views], "float32"
        )
