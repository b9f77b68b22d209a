"""`MultiCrop` by the names of its settings."""

from typing import Any

from semppl_keras.views.multi_crop import MultiCrop
from semppl_keras.views.settings import RECIPES
from semppl_keras.views.variants import changed


def recipe(name: str, **changes: Any) -> MultiCrop:
    """The views of a named recipe: "imagenet", "small_images", "digits", "mild".

    Args:
        name: str.
        changes: arguments of `MultiCrop` that differ from the recipe's.

    Returns:
        A `MultiCrop`.

    Raises:
        ValueError: if there is no such recipe.
    """
    if not isinstance(name, str) or name not in RECIPES:
        raise ValueError(
            f"`views` must be a MultiCrop or one of {sorted(RECIPES)}. Received: "
            f"{name!r}."
        )
    return MultiCrop(**{**RECIPES[name], **changes})


def mild_views(views: MultiCrop, **changes: Any) -> MultiCrop:
    """Views of the same images that are mild enough to learn labels alone from.

    Args:
        views: whose size, ranges and centre view they have, and what says which images
            are taken for the same: they are mirrored where these are, and turned by 10
            degrees and slanted by 0.1 less.
        changes: arguments of `MultiCrop` that differ.

    Returns:
        A `MultiCrop` like "mild".
    """
    alike = {
        "large_size": views.large_size,
        "flip": views.flip,
        # Only where images turn by themselves: turning blurs small ones.
        "rotation": max(0.0, views.rotation - 10),
        "shear": max(0.0, views.shear - 0.1),
    }
    return changed(views, **{**RECIPES["mild"], **alike, **changes})
