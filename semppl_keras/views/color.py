"""Colour jitter, greyscale and solarisation, one draw per view.

Brightness, contrast, saturation, hue and greyscale are affine maps of a pixel's
colour, and so is their composition in any order: one 3 x 3 matrix and one offset
per view, applied in a single pass. Values are clipped once, at the end.
"""

import itertools
import math

import numpy as np
from keras import ops

# Luma of ITU-R BT.601, and the YIQ axes in which a turn about the first is a
# change of hue.
_LUMA = np.array([0.299, 0.587, 0.114], "float32")
_YIQ = np.array(
    [_LUMA, [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]],
    "float32",
)
_ORDERS = np.array(list(itertools.permutations(range(4))), "int32")
NUM_ORDERS = len(_ORDERS)


def _luma(channels):
    return ops.convert_to_tensor(_LUMA if channels == 3 else np.ones(1, "float32"))


def _hue_matrix(turn, channels):
    """Matrices `(..., C, C)` that turn the hue by `turn` in full circles."""
    if channels == 1:
        return ops.ones_like(turn)[..., None, None]
    angle = 2.0 * math.pi * turn
    cosine, sine = ops.cos(angle), ops.sin(angle)
    zero, one = ops.zeros_like(angle), ops.ones_like(angle)
    rotation = ops.stack([one, zero, zero, zero, cosine, -sine, zero, sine, cosine], -1)
    rotation = ops.reshape(rotation, (*ops.shape(turn), 3, 3))
    return ops.matmul(np.linalg.inv(_YIQ), ops.matmul(rotation, _YIQ))


def jitter_map(mean, brightness, contrast, saturation, hue, order):
    """The affine colour map of a colour jitter: `x -> matrix @ x + offset`.

    Brightness scales; contrast moves away from the view's mean luma; saturation
    moves away from the pixel's own luma; hue turns about the luma axis of YIQ.
    (As in torchvision's and SimCLRv2's jitter, with a linear hue instead of the
    one in HSV.)

    Args:
        mean: `(..., C)` mean colour of each view, C = 1 or 3.
        brightness: `(...)` factors, 1 for none.
        contrast: `(...)` factors, 1 for none.
        saturation: `(...)` factors, 1 for none.
        hue: `(...)` in full circles, 0 for none.
        order: `(...)` int in [0, 24): which permutation of (brightness,
            contrast, saturation, hue), in lexicographic order.

    Returns:
        matrix `(..., C, C)` and offset `(..., C)`.
    """
    channels = mean.shape[-1]
    eye, luma = ops.eye(channels), _luma(channels)
    to_luma = ops.ones((channels, 1)) * luma

    def expand(factor):
        return factor[..., None, None]

    candidates = ops.stack(
        [
            expand(brightness) * eye,
            expand(contrast) * eye,
            expand(saturation) * eye + expand(1.0 - saturation) * to_luma,
            _hue_matrix(hue, channels),
        ],
        axis=-3,
    )
    steps = ops.take(ops.convert_to_tensor(_ORDERS), order, axis=0)
    # (..., 4 steps, 4 candidates): which of them each step is.
    chosen = ops.one_hot(steps, 4, dtype="float32")
    step_matrices = ops.einsum("...so,...ocd->...scd", chosen, candidates)
    lift = chosen[..., 1] * (1.0 - contrast)[..., None]

    # Along with the map goes the mean that the contrast of a later step sees.
    matrix, offset, current = eye, ops.zeros_like(mean), mean[..., None]
    for step in range(4):
        step_matrix = step_matrices[..., step, :, :]
        grey = ops.matmul(luma[None], current)[..., 0]
        step_offset = lift[..., step, None] * grey
        matrix = ops.matmul(step_matrix, matrix)
        offset = ops.matmul(step_matrix, offset[..., None])[..., 0] + step_offset
        current = ops.matmul(step_matrix, current) + step_offset[..., None]
    return matrix, offset


def grayscale_map(apply, channels):
    """Matrices `(..., C, C)` that replace colours by their luma where `apply`."""
    eye = ops.eye(channels)
    to_luma = ops.ones((channels, 1)) * _luma(channels)
    return ops.where(apply[..., None, None], to_luma, eye)


def transform_colors(images, matrix, offset):
    """Applies one affine colour map per view and clips to [0, 1].

    Args:
        images: `(..., C, h, w)` in [0, 1], channels first.
        matrix: `(..., C, C)`.
        offset: `(..., C)`.

    Returns:
        `(..., C, h, w)`.
    """
    shape = ops.shape(images)
    flat = ops.reshape(images, (*shape[:-2], shape[-2] * shape[-1]))
    flat = ops.matmul(matrix, flat) + offset[..., None]
    return ops.reshape(ops.clip(flat, 0.0, 1.0), shape)


def solarize(images, apply, threshold=0.5):
    """Inverts the values from `threshold` up, where `apply`.

    Args:
        images: `(..., C, h, w)` in [0, 1].
        apply: `(...)` boolean.
        threshold: float in [0, 1].

    Returns:
        `(..., C, h, w)`.
    """
    # A threshold above every value spares the second pass of a choice per view.
    threshold = ops.where(apply, threshold, 2.0)[..., None, None, None]
    return ops.where(images >= threshold, 1.0 - images, images)
