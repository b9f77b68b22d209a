"""SoftMatch: weights that fall like a Gaussian below the usual confidence."""

import dataclasses

from semppl_keras.recipes.consistency_methods.fixmatch import fixmatch
from semppl_keras.recipes.consistency_recipe import ConsistencyRecipe


def softmatch(steps: int | None = None) -> ConsistencyRecipe:
    """Chen et al., ICLR 2023 (arXiv 2301.10921), as on CIFAR-10: FixMatch otherwise.

    The weights are those of predictions aligned with the uniform distribution, the
    labels those of predictions as they are.

    Args:
        steps: int, for a training of some thousand; None for the paper's length.
    """
    recipe = fixmatch()
    alignment = {"target": "uniform", "momentum": 0.999, "changes_targets": False}
    recipe = dataclasses.replace(
        recipe,
        name="softmatch",
        trainer={
            **recipe.trainer,
            "alignment": ("DistributionAlignment", alignment),
            "weighting": ("TruncatedGaussian", {"width": 2.0, "momentum": 0.999}),
        },
    )
    return recipe if steps is None else recipe.scaled(steps)
