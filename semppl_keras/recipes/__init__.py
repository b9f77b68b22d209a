"""Recipes: a function each, of the epoch budget; `own_images` for any size."""

from semppl_keras.backbones.registry import BACKBONES as BACKBONES
from semppl_keras.recipes.digits import digits as digits
from semppl_keras.recipes.imagenet import imagenet as imagenet
from semppl_keras.recipes.own_images import own_images as own_images
from semppl_keras.recipes.own_images import usual_epochs as usual_epochs
from semppl_keras.recipes.recipe import Recipe as Recipe
from semppl_keras.recipes.small_images import small_images as small_images

RECIPES = {"digits": digits, "imagenet": imagenet, "small_images": small_images}


def get(name, epochs=None):
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
    return RECIPES[name]() if epochs is None else RECIPES[name](epochs=epochs)
