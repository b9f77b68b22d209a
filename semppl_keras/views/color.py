"""Colour jitter, greyscale and solarisation, one draw per view.

Brightness, contrast, saturation, hue and greyscale are affine maps of a pixel's
colour: one 3 x 3 matrix and one offset per view, applied in a single pass. Values are
clipped once, at the end.

Their order leaves no trace. In luma and chroma each of them is simple: brightness
scales both, contrast scales both and moves the luma, saturation scales the chroma, hue
turns it, greyscale removes it. So they commute, and what brightness makes of the mean
luma, towards which contrast moves, it makes of the result as well.
"""

import math
from typing import Any

import numpy as np
from keras import ops

# Luma of ITU-R BT.601, and the YIQ axes in which a turn about the first is a
# change of hue.
_LUMA = np.array([0.299, 0.587, 0.114], "float32")
_YIQ = np.array(
    [_LUMA, [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]],
    "float64",
)
# A colour's luma as a grey, and its chroma turned by a quarter: matrices (3, 3).
_TO_LUMA = np.ones((3, 1), "float32") * _LUMA
_QUARTER_TURN = (
    np.linalg.inv(_YIQ) @ np.array([[0, 0, 0], [0, 0, -1], [0, 1, 0]]) @ _YIQ
).astype("float32")


def jitter_map(
    mean: Any, brightness: Any, contrast: Any, saturation: Any, hue: Any
) -> tuple[Any, Any]:
    """The affine colour map of a colour jitter: `x -> matrix @ x + offset`.

    Brightness scales; contrast moves away from the view's mean luma; saturation
    moves away from the pixel's own luma, 0 leaves a greyscale; hue turns about the
    luma axis of YIQ. (As in torchvision's and SimCLRv2's jitter, with a linear hue
    instead of the one in HSV.) In any order.

    Args:
        mean: `(..., C)` mean colour of each view, C = 1 or 3.
        brightness: `(...)` factors, 1 for none.
        contrast: `(...)` factors, 1 for none.
        saturation: `(...)` factors, 1 for none.
        hue: `(...)` in full circles, 0 for none.

    Returns:
        matrix `(..., C, C)` and offset `(..., 1)`.
    """
    scale = brightness * contrast
    shift = brightness - scale
    if mean.shape[-1] == 1:
        return scale[..., None, None], shift[..., None] * mean
    luma = ops.convert_to_tensor(_LUMA)
    grey = ops.sum(mean * luma, axis=-1, keepdims=True)
    angle, chroma = 2.0 * math.pi * hue, scale * saturation

    def times(factor: Any, matrix: Any) -> Any:
        return factor[..., None, None] * ops.convert_to_tensor(matrix)

    matrix = (
        times(scale, _TO_LUMA)
        + times(chroma * ops.cos(angle), np.eye(3, dtype="float32") - _TO_LUMA)
        + times(chroma * ops.sin(angle), _QUARTER_TURN)
    )
    return matrix, shift[..., None] * grey


def transform_colors(images: Any, matrix: Any, offset: Any) -> Any:
    """Applies one affine colour map per view and clips to [0, 1].

    Args:
        images: `(..., C, h, w)` in [0, 1], channels first.
        matrix: `(..., C, C)`.
        offset: `(..., 1)`, the same for every channel.

    Returns:
        `(..., C, h, w)`.
    """
    if images.shape[-3] == 1:
        # TensorFlow has a price on products of matrices, however small.
        return ops.clip(matrix[..., None] * images + offset[..., None, None], 0.0, 1.0)
    shape = ops.shape(images)
    flat = ops.reshape(images, (*shape[:-2], shape[-2] * shape[-1]))
    flat = ops.matmul(matrix, flat) + offset[..., None]
    return ops.reshape(ops.clip(flat, 0.0, 1.0), shape)


def luma(images: Any) -> Any:
    """What grey each pixel of RGB is as bright as; other images as they are.

    Args:
        images: `(..., C, h, w)`, channels first.

    Returns:
        `(..., 1, h, w)` of RGB, else `(..., C, h, w)`.
    """
    if images.shape[-3] != 3:
        return images
    weights = ops.convert_to_tensor(_LUMA)[:, None, None]
    return ops.sum(weights * images, axis=-3, keepdims=True)


def solarize(images: Any, apply: Any, threshold: Any = 0.5) -> Any:
    """Inverts the values from `threshold` up, where `apply`.

    Args:
        images: `(..., C, h, w)` in [0, 1].
        apply: `(...)` boolean.
        threshold: float or `(...)`, in [0, 1].

    Returns:
        `(..., C, h, w)`.
    """
    # A threshold above every value spares the second pass of a choice per view.
    threshold = ops.cast(ops.where(apply, threshold, 2.0), "float32")
    threshold = threshold[..., None, None, None]
    return ops.where(images >= threshold, 1.0 - images, images)
