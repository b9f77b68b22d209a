"""Logistic regression on pixels, as a classifier of images like any other."""

from typing import Any

import keras
import numpy as np

from semppl_keras.evaluation import fit_probe
from semppl_keras.evaluation.pixels import LARGEST_SIDE, PIXEL_PROBE
from semppl_keras.networks import ImageEmbedder
from semppl_keras.views import MultiCrop
from semppl_keras.views.variants import of_size


def pixel_embedder(views: MultiCrop, image_shape: tuple[int, ...]) -> ImageEmbedder:
    """Images to their pixels, of 32 a side at most.

    Args:
        views: Those of a model, which say what black and white are.
        image_shape: `(h, w, c)`.
    """
    height, width, channels = image_shape
    side = min(height, width, LARGEST_SIDE)
    backbone = keras.Sequential(
        [keras.layers.Input((side, side, channels)), keras.layers.Flatten()],
        name="pixels",
    )
    return ImageEmbedder(backbone, of_size(views, side), name="embedder")


def fit_pixel_probe(features: np.ndarray, labels: np.ndarray, seed: int) -> Any:
    """The linear probe of pixels `(n, F)`, with labels `(n,)`."""
    return fit_probe(features, labels, seed=seed, **PIXEL_PROBE)
