"""IOMatch: images of none of the classes are found, and teach nothing of these."""

import dataclasses

from semppl_keras.recipes.consistency_methods.fixmatch import fixmatch
from semppl_keras.recipes.consistency_recipe import ConsistencyRecipe


def iomatch(steps: int | None = None) -> ConsistencyRecipe:
    """Li et al., ICCV 2023 (arXiv 2308.13168), as on CIFAR-100: FixMatch otherwise.

    The predictions are aligned with the uniform distribution, and are the targets as
    they are. `OutlierDetection.open_classifier` of `terms[0]` tells what an image is,
    or that it is none of the classes.

    Args:
        steps: int, for a training of some thousand; None for the paper's length.
    """
    recipe = fixmatch()
    alignment = {"target": "uniform", "momentum": 0.999}
    recipe = dataclasses.replace(
        recipe,
        name="iomatch",
        steps=2**18,
        trainer={
            **recipe.trainer,
            "alignment": ("DistributionAlignment", alignment),
            "targets": ("SoftLabels", {"temperature": 1.0}),
            "terms": (("OutlierDetection", {}),),
        },
    )
    return recipe if steps is None else recipe.scaled(steps)
