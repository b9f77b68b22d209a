"""A run's images as the lower part of its backbone gives them, which is not trained."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from semppl_keras.data import FewLabels
from semppl_keras.networks import cache_features, split_backbone
from semppl_keras.networks.features_cache import cache_gigabytes
from semppl_keras.recipes import Recipe
from semppl_keras.runs.progress import Progress
from semppl_keras.runs.telling import tell


@dataclasses.dataclass(frozen=True, eq=False)
class KeptFeatures:
    """What is trained on in the place of images.

    Args:
        labelled: `(n, 1 + K, ...)` float16, of the central view and of K random ones.
        unlabelled: `(m, 1 + K, ...)`, the same.
    """

    labelled: np.ndarray
    unlabelled: np.ndarray


def parts_of(
    recipe: Recipe, backbone: keras.Model
) -> tuple[keras.Model | None, keras.Model]:
    """The part of a backbone whose features are kept, or None, and that to be trained.

    A network that cannot be cut is trained on the images, its lower part frozen.
    """
    if recipe.kept_views is None:
        return None, backbone
    try:
        return split_backbone(backbone)
    except ValueError:
        tell(
            f"Note: {backbone.name} cannot be cut in two, so that every step runs all "
            "of it."
        )
        return None, backbone


def keep_features(
    lower: keras.Model,
    data: FewLabels,
    recipe: Recipe,
    *,
    seed: int,
    folder: pathlib.Path,
) -> KeptFeatures:
    """Runs the lower part of a backbone on some views of each image.

    Args:
        lower: See `parts_of`.
        data: What is trained on.
        recipe: By which.
        seed: Of the views.
        folder: Where they are kept if there is no memory for them.

    Raises:
        ValueError: There is no room for them.
    """
    views, number = recipe.make_views(), recipe.kept_views
    count = len(data.x_train)
    size = cache_gigabytes(lower, views, count, number)
    tell(
        f"Keeping what the lower part of the backbone gives for {number} views of each "
        f"image, {size:.1f} GB ..."
    )
    progress = Progress("Keeping,")

    def kept(images: np.ndarray, what: str, number_of: int) -> np.ndarray:
        told: Callable[[int, int], Any] = lambda done, total: progress(
            what, done, total
        )
        return cache_features(
            lower,
            images,
            views,
            number,
            seed=seed + number_of,
            folder=folder,
            progress=told,
        )

    return KeptFeatures(
        kept(data.x_labelled, "labelled images", 0),
        kept(data.x_unlabelled, "unlabelled images", 1),
    )
