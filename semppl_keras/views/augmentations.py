"""The single augmentations, batched, each image with its own parameters.

What `MultiCrop` draws at random and does at once, one at a time and with given
parameters: to look at, to test, to build other recipes from. Images are
`(B, H, W, C)` floats in [0, 1], C = 1 or 3; parameters are `(B,)`.
"""

from typing import Any

from keras import ops

from semppl_keras.views import color, spatial


def crop_and_resize(
    images: Any,
    top: Any,
    left: Any,
    height: Any,
    width: Any,
    size: tuple[int, int],
    flip: Any = None,
) -> Any:
    """Cuts one box out of every image and resamples it to `size`.

    Bilinear, antialiased where the box is larger than `size`.

    Args:
        images: `(B, H, W, C)`.
        top, left, height, width: `(B,)` floats, the boxes in pixels; 0 is the
            outer edge of the first pixel.
        size: pair of ints, height and width of the result.
        flip: `(B,)` boolean or None: mirror left to right.

    Returns:
        `(B, *size, C)` float32.
    """
    top, left, height, width = _as_floats(top, left, height, width)
    rows = spatial.resize_matrix(top, height, size[0], images.shape[1])
    columns = spatial.resize_matrix(left, width, size[1], images.shape[2], flip)
    return _resample(images, rows, columns)


def rotate_and_shear(images: Any, angle: Any, shear: Any) -> Any:
    """Rotates and shears every image about its centre, bilinear.

    What comes from beyond the edge repeats the pixel at the edge.

    Args:
        images: `(B, H, W, C)`.
        angle: `(B,)` floats in radians, counter-clockwise.
        shear: `(B,)` floats, by how many pixels a row moves to the left for each row
            that it lies below the centre, before the rotation.

    Returns:
        `(B, H, W, C)` float32.
    """
    images = ops.transpose(ops.cast(images, "float32"), (0, 3, 1, 2))
    images = spatial.rotate_and_shear(images, *_as_floats(angle, shear))
    return ops.transpose(images, (0, 2, 3, 1))


def gaussian_blur(images: Any, sigma: Any) -> Any:
    """Blurs every image with its own Gaussian, truncated at a tenth of the image.

    Args:
        images: `(B, H, W, C)`.
        sigma: `(B,)` standard deviations in pixels; 0 for none.

    Returns:
        `(B, H, W, C)` float32.
    """
    height, width = images.shape[1:3]
    (sigma,) = _as_floats(sigma)
    rows = spatial.blur_matrix(sigma, height, spatial.blur_radius(height))
    columns = spatial.blur_matrix(sigma, width, spatial.blur_radius(width))
    return _resample(images, rows, columns)


def color_jitter(
    images: Any, brightness: Any, contrast: Any, saturation: Any, hue: Any
) -> Any:
    """Changes brightness, contrast, saturation and hue, in whatever order.

    Values are clipped at the end alone, and so the order makes no difference.

    Args:
        images: `(B, H, W, C)` in [0, 1].
        brightness, contrast, saturation: `(B,)` factors, 1 for none.
        hue: `(B,)` in full circles, 0 for none.

    Returns:
        `(B, H, W, C)` in [0, 1].
    """
    images = ops.transpose(ops.cast(images, "float32"), (0, 3, 1, 2))
    matrix, offset = color.jitter_map(
        ops.mean(images, axis=(-2, -1)),
        *_as_floats(brightness, contrast, saturation, hue),
    )
    images = color.transform_colors(images, matrix, offset)
    return ops.transpose(images, (0, 2, 3, 1))


def grayscale(images: Any, apply: Any) -> Any:
    """Replaces the colours by their luma.

    Args:
        images: `(B, H, W, C)` in [0, 1].
        apply: `(B,)` boolean.

    Returns:
        `(B, H, W, C)` in [0, 1].
    """
    apply = ops.cast(apply, "float32")
    one, zero = ops.ones_like(apply), ops.zeros_like(apply)
    return color_jitter(images, one, one, 1.0 - apply, zero)


def solarize(images: Any, apply: Any, threshold: float = 0.5) -> Any:
    """Inverts the values from `threshold` up.

    Args:
        images: `(B, H, W, C)` in [0, 1].
        apply: `(B,)` boolean.
        threshold: float in [0, 1].

    Returns:
        `(B, H, W, C)` in [0, 1].
    """
    return color.solarize(ops.cast(images, "float32"), apply, threshold)


def _as_floats(*values: Any) -> list[Any]:
    return [ops.convert_to_tensor(value, "float32") for value in values]


def _resample(images: Any, rows: Any, columns: Any) -> Any:
    images = ops.transpose(ops.cast(images, "float32"), (0, 3, 1, 2))
    views = spatial.resample(images, rows[:, None], columns[:, None])
    return ops.transpose(views[:, 0], (0, 2, 3, 1))
