"""Recipes of consistency training by the names of their methods."""

from semppl_keras.recipes.consistency_methods.adamatch import adamatch
from semppl_keras.recipes.consistency_methods.freematch import freematch
from semppl_keras.recipes.consistency_methods.simmatch import simmatch
from semppl_keras.recipes.consistency_methods.softmatch import softmatch
from semppl_keras.recipes.consistency_recipe import ConsistencyRecipe

METHODS = {
    "adamatch": adamatch,
    "freematch": freematch,
    "simmatch": simmatch,
    "softmatch": softmatch,
}


def consistency(name: str, steps: int | None = None) -> ConsistencyRecipe:
    """A recipe by its method's name, with the paper's length or another one.

    Args:
        name: str, one of `METHODS`.
        steps: int, of the whole training; averages and batches go with it. None for the
            paper's.

    Returns:
        A `ConsistencyRecipe`.

    Raises:
        ValueError: if there is no such recipe, or `steps` is no positive integer.
    """
    if name not in METHODS:
        raise ValueError(
            f"A recipe of consistency training is one of {sorted(METHODS)}. Received: "
            f"{name!r}."
        )
    if steps is not None and (not isinstance(steps, int) or steps < 1):
        raise ValueError(
            f"`steps` must be an integer of at least 1. Received: steps={steps!r}."
        )
    return METHODS[name](steps)
