"""`MultiCrop` by the names of its settings."""

from typing import Any

from semppl_keras.views.multi_crop import MultiCrop
from semppl_keras.views.settings import RECIPES


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
