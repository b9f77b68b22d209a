"""A run's images as the lower part of its backbone gives them, which is not trained."""

import dataclasses
import functools
import pathlib

import keras
import numpy as np

from semppl_keras.data import FewLabels
from semppl_keras.data.few_labels import rows_of
from semppl_keras.networks import ImageClassifier, cache_features, split_backbone
from semppl_keras.networks.features_cache import cache_gigabytes
from semppl_keras.recipes import Recipe
from semppl_keras.recipes.defaults import KEEPING_SHARE
from semppl_keras.runs.budget import Budget
from semppl_keras.runs.pace import Pace
from semppl_keras.runs.progress import Progress
from semppl_keras.runs.telling import tell
from semppl_keras.views import MultiCrop


@dataclasses.dataclass(frozen=True, eq=False)
class KeptFeatures:
    """What is trained on in the place of images.

    Args:
        labelled: `(n, 1 + K, ...)` float16 for the labelled images, of the central view
            and of K random ones.
        unlabelled: `(m, 1 + K, ...)`, the same for the others.
    """

    labelled: np.ndarray
    unlabelled: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Start:
    """What a training starts from.

    Args:
        views: Of the images.
        part: The backbone, or its upper part, which is trained; None where it goes on.
        lower: The rest of it, whose features are kept, or None.
    """

    views: MultiCrop
    part: keras.Model | None = None
    lower: keras.Model | None = None

    def whole(self, classifier: ImageClassifier) -> ImageClassifier:
        """A classifier of images, of one of what is kept of them."""
        if self.lower is None:
            return classifier
        return classifier.on_pictures(self.lower, self.views)


def start_of(recipe: Recipe, backbone: keras.Model) -> Start:
    """A backbone, cut in two where a recipe says so.

    A network that cannot be cut is trained on the images, its lower part frozen.
    """
    views = recipe.make_views()
    if recipe.kept_views is None:
        return Start(views, backbone)
    try:
        lower, upper = split_backbone(backbone)
    except ValueError:
        tell(
            f"Note: {backbone.name} cannot be cut in two, so that every step runs all "
            "of it."
        )
        return Start(views, backbone)
    return Start(views, upper, lower)


def keep_features(
    lower: keras.Model,
    data: FewLabels,
    recipe: Recipe,
    *,
    seed: int,
    folder: pathlib.Path,
    budget: Budget | None = None,
) -> KeptFeatures:
    """Runs the lower part of a backbone on some views of each image.

    Args:
        lower: See `Start`.
        data: What is trained on.
        recipe: By which.
        seed: Of the views.
        folder: Where they are kept if there is no memory for them.
        budget: Of the run, which a training of them is to fit, too; or None.

    Raises:
        ValueError: There is no room for them.
        TooShort: There is no time for them.
    """
    views, number = recipe.make_views(), recipe.kept_views or 1
    size = cache_gigabytes(lower, views, len(data.x_train), number)
    tell(
        f"Keeping what the lower part of the backbone gives for {number} views of each "
        f"image, {size:.1f} GB ..."
    )
    told = functools.partial(Progress("Keeping,"), "images")
    pace = None
    if budget is not None:
        doing = "keeping what the lower part of the backbone gives"
        pace = Pace(doing, budget, KEEPING_SHARE)

    def progress(done: int, total: int) -> None:
        if pace is not None:
            pace(done, total)
        told(done, total)

    kept = cache_features(
        lower,
        data.x_train,
        views,
        number,
        seed=seed,
        folder=folder,
        progress=progress,
    )
    return KeptFeatures(
        rows_of(kept, data.labelled_indices),
        rows_of(kept, data.unlabelled_indices),
    )
