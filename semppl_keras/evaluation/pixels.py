"""Images as rows of numbers, for classifiers that know nothing else."""

from typing import Any

import keras
import numpy as np

from semppl_keras.evaluation.inputs import as_images

# How a linear probe is fitted to them, the supervised-only baseline. They share one
# scale already: standardising each would blow up those at the border, which are empty
# in all but a few images.
PIXEL_PROBE: dict[str, Any] = {"standardize": False, "single_label_c": 1.0}

# Pixels of a side that a linear classifier can make use of.
LARGEST_SIDE = 32
_CHUNK = 256


def as_pixels(images: Any) -> np.ndarray:
    """Pixels in [0, 1], a row for each image.

    Images of a side of more than 32 pixels are shrunk to 32 x 32: more would add
    time, thousands of times the labels, and nothing that a linear classifier could
    make use of.

    Args:
        images: `(N, h, w, c)` in [0, 255].

    Returns:
        `(N, F)` float64.
    """
    images = as_images(images)
    if max(images.shape[1:3]) > LARGEST_SIDE:
        images = np.concatenate(
            [
                keras.ops.convert_to_numpy(
                    keras.ops.image.resize(
                        images[start : start + _CHUNK].astype("float32"),
                        (LARGEST_SIDE, LARGEST_SIDE),
                        antialias=True,
                        data_format="channels_last",
                    )
                )
                for start in range(0, len(images), _CHUNK)
            ]
        )
    return np.asarray(images).reshape(len(images), -1).astype("float64") / 255
