"""A person's own images, of whatever size."""

import math
from typing import Any

from semppl_keras.backbones.registry import BACKBONES
from semppl_keras.backbones.specs import is_pretrained
from semppl_keras.recipes.defaults import (
    LARGE_BACKBONE,
    OWN_STEPS,
    SMALL,
    SMALL_BACKBONE,
)
from semppl_keras.recipes.recipe import Recipe
from semppl_keras.recipes.small_images import small_images

_EPOCHS = 10
_MOST_EPOCHS = 200

# The size at which the paper's blur is given.
_PAPER_SIZE = 224


def own_images(
    image_size: int, backbone: str | None = None, epochs: int | None = None
) -> Recipe:
    """Settings for images of any size, from a folder.

        semppl train --unlabelled photos --labelled labels.csv

    Up to 64 pixels those of `small_images`, with views of the images' size. Above,
    they are not measured: one pair of large views as in the paper, of the images' size
    and with the blur in proportion, and a learning rate at which a deep network starts
    safely under Adam. How they were found: docs/results/settings.md.

    Args:
        image_size: int, pixels of a side, which all images have.
        backbone: one of `BACKBONES`, or "keras:NAME@none" as `backbones.pretrained`
            takes it; None for that of `recipes.defaults`.
        epochs: int, passes over the unlabelled images; None for 10.

    Raises:
        ValueError: if there is no such backbone, or it has weights already, for which
            `recipes.pretrained` is.
    """
    if backbone is None:
        backbone = SMALL_BACKBONE if image_size <= SMALL else LARGE_BACKBONE
    if is_pretrained(backbone):
        raise ValueError(
            "`backbone` must be a new one: the recipe of pretrained ones is "
            f"recipes.pretrained. Received: {backbone!r}."
        )
    epochs = _EPOCHS if epochs is None else epochs
    base = small_images(epochs)
    views: tuple[str, dict[str, Any]]
    if image_size <= SMALL:
        views = ("small_images", {"large_size": image_size})
    else:
        views = large_views(image_size)
    arguments: dict[str, Any] = {"spec": backbone}
    learning_rate = 1e-3
    if backbone == SMALL_BACKBONE:
        # A further stage where there is more of the image to look over.
        arguments = {**base.backbone[1]}
        if image_size > 32:
            last = arguments["widths"][-1]
            arguments["widths"] = (*arguments["widths"], 2 * last)
        learning_rate = base.optimizer[1]["learning_rate"]
    elif backbone == "conv":
        arguments = {}
    elif backbone in BACKBONES:
        arguments = {"stem": "small" if image_size <= SMALL else "imagenet"}
    name = BACKBONES.get(backbone, "pretrained")
    return Recipe(
        name="own_images",
        epochs=epochs,
        batch_size=base.batch_size,
        labelled_batch_size=base.labelled_batch_size,
        image_size=image_size,
        backbone=(name, arguments),
        model={**base.model, "views": views},
        optimizer=("adam", {**base.optimizer[1], "learning_rate": learning_rate}),
    )


def large_views(image_size: int) -> tuple[str, dict[str, Any]]:
    """One pair of the paper's large views, of images of a size and with the blur in
    proportion.

    Args:
        image_size: int, pixels of a side.

    Returns:
        Name of the views, and what differs from them.
    """
    sigma = 2.0 * image_size / _PAPER_SIZE
    return "imagenet", {
        "num_large": 2,
        "num_small": 0,
        "large_size": image_size,
        "large_area": (0.2, 1.0),
        "blur": (0.5, 0.1),
        "blur_sigma": (0.1, max(0.2, sigma)),
    }


def usual_epochs(num_unlabelled: int, batch_size: int | None = None) -> int:
    """Passes that make some `OWN_STEPS` steps of so many images, from 1 to 200.

    Args:
        num_unlabelled: int.
        batch_size: int, unlabelled images per step; None for 64.
    """
    batch_size = batch_size or small_images().batch_size
    return steps_to_epochs(OWN_STEPS, num_unlabelled, batch_size)


def steps_to_epochs(steps: int, num_unlabelled: int, batch_size: int) -> int:
    """Passes over so many images that make some so many steps, from 1 to 200."""
    steps_per_epoch = math.ceil(num_unlabelled / batch_size)
    return min(_MOST_EPOCHS, max(1, round(steps / steps_per_epoch)))
