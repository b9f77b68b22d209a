"""The view without randomness."""

from typing import Any

from keras import ops

from semppl_keras.views import spatial
from semppl_keras.views.settings import FITS

# Beside an image, in the unit range: a middle grey.
_BARS = 127 / 255


def check_center(fit: str, center_crop: float, center_interpolation: str) -> None:
    """Raises a ValueError for settings of the centre view that are none, or do not go
    together."""
    if center_interpolation not in ("bilinear", "bicubic"):
        raise ValueError(
            '`center_interpolation` must be "bilinear" or "bicubic". Received: '
            f"center_interpolation={center_interpolation!r}."
        )
    if fit not in FITS:
        raise ValueError(
            f"`fit` must be one of {', '.join(FITS)}. Received: fit={fit!r}."
        )
    if fit != "crop" and (center_crop != 1 or center_interpolation != "bilinear"):
        raise ValueError(
            "`center_crop` and `center_interpolation` are for the central square, "
            f'fit="crop". Received: fit={fit!r}, center_crop={center_crop}, '
            f"center_interpolation={center_interpolation!r}. Leave them out."
        )


def center_square(
    images: Any, size: int, fit: str, share: float, interpolation: str
) -> Any:
    """Squares of images, which may be of a height and width that are not known yet.

    Args:
        images: `(B, C, H, W)` in [0, 1], channels first.
        size: int, pixels of a side of the result.
        fit: "crop", the central square; "pad", all of the image between bars of a
            middle grey; "stretch", all of it, out of shape.
        share: float in (0, 1], how much of the central square's side is shown.
        interpolation: "bilinear", antialiased, or "bicubic" of whole pixels.

    Returns:
        `(B, 1, C, size, size)` float32 in [0, 1].
    """
    # Images of several sizes pass one compiled function with sizes unknown.
    batch_size, _, height, width = ops.shape(images)
    bicubic = interpolation == "bicubic"
    resize_matrix = spatial.bicubic_matrix if bicubic else spatial.resize_matrix
    if fit == "pad":
        resize_matrix = spatial.pad_matrix
        # The matrices leave zeros beside the image.
        images = images - _BARS
        side = ops.cast(ops.maximum(height, width), "float32")
    else:
        side = ops.cast(ops.minimum(height, width), "float32") * share
    if bicubic:
        side = ops.maximum(ops.floor(side), 1.0)
    # The same for every image, and yet one for each: TensorFlow 2.21 on CPUs writes
    # past its memory where (B, 1, n, m) is multiplied by (1, 1, m, k) (its issue
    # 117700).
    for_each = ops.ones((batch_size, 1), "float32")

    def part(length: Any) -> Any:
        whole = ops.cast(length, "float32")
        shown = whole if fit == "stretch" else side
        start = (whole - shown) / 2
        if bicubic:
            start = ops.ceil(start)
        return resize_matrix(start * for_each, shown * for_each, size, length)

    view = spatial.resample(images, part(height), part(width))
    if bicubic:
        view = ops.clip(view, 0.0, 1.0)
    return view + _BARS if fit == "pad" else view
