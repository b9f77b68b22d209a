"""Histograms of oriented gradients: what there is in images without any learning."""

from typing import Any

import keras
import numpy as np

from semppl_keras.backbones.gradient_layers import OrientedGradients
from semppl_keras.checks import check_integers
from semppl_keras.evaluation.inputs import as_array

# Pixels of the images that are looked at together: all that is made of them stays in
# some megabytes.
_PIXELS_AT_ONCE = 200_000


def hog_features(
    images: Any, *, cell_size: int = 4, orientations: int = 16
) -> np.ndarray:
    """Which way brightness rises in which part of an image, a row for each image.

    After Dalal and Triggs (2005). The gradient of every pixel is half the difference of
    its neighbours, those at the border being their own; of several channels it is that
    of the longest. Its length goes to the two nearest of `orientations` directions,
    which are all around the circle, and to the four nearest of the cells that the image
    is divided into, in proportion to how near they are (what would go to a cell beyond
    the border is lost). A row is the square root of the share that each direction of
    each cell has in the whole, so that it has length 1 and its products are
    Bhattacharyya's. The paper normalises blocks of cells, and takes opposite directions
    for the same: how the settings here were found: docs/results/settings.md.

    Args:
        images: `(N, h, w, c)`, at least one, of any range.
        cell_size: At least 1, pixels of a cell's side; as near to it as h and w can be
            divided into equal parts.
        orientations: At least 2.

    Returns:
        `(N, rows * columns * orientations)` float32, not negative; a row of zeros for
        an image of one colour.

    Raises:
        ValueError: Images of another shape, or an argument out of range.

    Example:
        >>> features = hog_features(data.x_unlabelled)  # (N, 28, 28, 1)
        >>> features.shape[1]  # 7 * 7 cells of 16 directions
        784
    """
    check_integers(1, cell_size=cell_size)
    check_integers(2, orientations=orientations)
    images = as_array(images)
    if images.ndim != 4 or 0 in images.shape:
        raise ValueError(
            "`images` must have the shape (N, h, w, c), at least one of them. "
            f"Received: shape {images.shape}."
        )
    layer = OrientedGradients(cell_size, orientations)
    at_once = max(1, _PIXELS_AT_ONCE // (images.shape[1] * images.shape[2]))
    return np.concatenate(
        [
            keras.ops.convert_to_numpy(
                layer(images[start : start + at_once].astype("float32"))
            )
            for start in range(0, len(images), at_once)
        ]
    )
