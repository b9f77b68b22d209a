"""FreeMatch: thresholds that rise with the network's confidence, class by class."""

import dataclasses

from semppl_keras.recipes.consistency_methods.fixmatch import fixmatch
from semppl_keras.recipes.consistency_recipe import ConsistencyRecipe


def freematch(steps: int | None = None) -> ConsistencyRecipe:
    """Wang et al., ICLR 2023 (arXiv 2205.07246), as on CIFAR-10: FixMatch otherwise.

    Without the fairness term (`consistency.MaxEntropy`), which has no lower bound.

    Args:
        steps: int, for a training of some thousand; None for the paper's length.
    """
    recipe = fixmatch()
    recipe = dataclasses.replace(
        recipe,
        name="freematch",
        trainer={
            **recipe.trainer,
            "weighting": ("SelfAdaptiveThreshold", {"momentum": 0.999}),
        },
    )
    return recipe if steps is None else recipe.scaled(steps)
