"""Histograms of oriented gradients: what there is in images without any learning."""

from collections.abc import Iterator
from typing import Any

import numpy as np

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
    count, height, width, _ = images.shape
    rows, columns = (_nearness(side, cell_size) for side in (height, width))
    features = np.empty((count, orientations * len(rows) * len(columns)), "float32")
    at_once = max(1, _PIXELS_AT_ONCE // (height * width))
    for start in range(0, count, at_once):
        chunk = images[start : start + at_once].astype("float32")
        votes = np.empty((len(chunk), orientations, height, width), "float32")
        for direction, lengths in enumerate(_votes(chunk, orientations)):
            votes[:, direction] = lengths
        # (n, o, h, w) to (n, o, rows, columns).
        cells = (rows @ votes @ columns.T).reshape(len(chunk), -1)
        sums = cells.sum(axis=1, keepdims=True)
        features[start : start + at_once] = np.sqrt(
            cells / np.where(sums > 0, sums, np.float32(1))
        )
    return features


def _nearness(side: int, cell_size: int) -> np.ndarray:
    """`(cells, side)`: 1 for a pixel in the middle of a cell, 0 beyond its
    neighbours' middles, and in between in proportion."""
    count = max(1, round(side / cell_size))
    places = (np.arange(side) + 0.5) * (count / side)
    middles = np.arange(count) + 0.5
    distances = np.abs(places[None, :] - middles[:, None])
    return np.maximum(1 - distances, 0).astype("float32")


def _votes(images: np.ndarray, orientations: int) -> Iterator[np.ndarray]:
    """By direction `(n, h, w)`, what it has of the gradients' lengths."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    down = (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]) / 2
    right = (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) / 2
    lengths = np.sqrt(down * down + right * right)
    longest = lengths.argmax(axis=-1)[..., None]
    down, right, lengths = (
        np.take_along_axis(values, longest, axis=-1)[..., 0]
        for values in (down, right, lengths)
    )
    angles = np.arctan2(down, right) * np.float32(orientations / (2 * np.pi))
    # In [0, orientations], whose ends are the same.
    angles += orientations * (angles < 0)
    for direction in range(orientations):
        votes = np.abs(angles - direction)
        if direction == 0:
            votes = np.minimum(votes, orientations - votes)
        np.subtract(1, votes, out=votes)
        np.maximum(votes, 0, out=votes)
        votes *= lengths
        yield votes
