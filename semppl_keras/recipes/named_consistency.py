"""Recipes of consistency training by the names of their methods."""

from collections.abc import Callable

from semppl_keras.recipes.consistency_methods.adamatch import adamatch
from semppl_keras.recipes.consistency_methods.fixmatch import fixmatch
from semppl_keras.recipes.consistency_methods.freematch import freematch
from semppl_keras.recipes.consistency_methods.iomatch import iomatch
from semppl_keras.recipes.consistency_methods.semi_vit import semi_vit
from semppl_keras.recipes.consistency_methods.simmatch import simmatch
from semppl_keras.recipes.consistency_methods.softmatch import softmatch
from semppl_keras.recipes.consistency_methods.uda import uda
from semppl_keras.recipes.consistency_recipe import ConsistencyRecipe

CONSISTENCY_METHODS: dict[str, Callable[[int | None], ConsistencyRecipe]] = {
    "fixmatch": fixmatch,
    "uda": uda,
    "freematch": freematch,
    "softmatch": softmatch,
    "adamatch": adamatch,
    "simmatch": simmatch,
    "iomatch": iomatch,
    "semi_vit": semi_vit,
}


def consistency(name: str, steps: int | None = None) -> ConsistencyRecipe:
    """A recipe of consistency training, with the authors' settings or scaled ones.

    Args:
        name: str, one of `CONSISTENCY_METHODS`.
        steps: int, for a training of some thousand; None for the length and the
            settings of the paper.

    Returns:
        A `ConsistencyRecipe`.

    Raises:
        ValueError: if there is no such method, or `steps` is none.

    Example:
        >>> recipe = consistency("fixmatch", steps=2000)
        >>> trainer = recipe.make_trainer(tuner)
        >>> trainer.compile(recipe.make_optimizer())
    """
    if name not in CONSISTENCY_METHODS:
        raise ValueError(
            "A method of consistency training is one of "
            f"{sorted(CONSISTENCY_METHODS)}. Received: {name!r}."
        )
    return CONSISTENCY_METHODS[name](steps)
