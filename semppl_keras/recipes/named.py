"""Recipes by their names."""

import collections.abc

from semppl_keras.recipes.digits import digits
from semppl_keras.recipes.imagenet import imagenet
from semppl_keras.recipes.recipe import Recipe
from semppl_keras.recipes.small_images import small_images

RECIPES = {"digits": digits, "imagenet": imagenet, "small_images": small_images}


def get(name: str, epochs: int | None = None) -> Recipe:
    """A recipe by its name, with its own epoch budget or another one.

    Args:
        name: str, one of `RECIPES`.
        epochs: int, passes over the unlabelled images; None for the recipe's own.

    Returns:
        A `Recipe`.

    Raises:
        ValueError: if there is no such recipe.
    """
    if name not in RECIPES:
        raise ValueError(f"A recipe is one of {sorted(RECIPES)}. Received: {name!r}.")
    make: collections.abc.Callable[..., Recipe] = RECIPES[name]
    return make() if epochs is None else make(epochs=epochs)
