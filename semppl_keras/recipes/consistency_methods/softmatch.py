"""SoftMatch: weights that fall like a Gaussian below the usual confidence."""

from semppl_keras.recipes.consistency_recipe import (
    ConsistencyRecipe,
    decay,
    like_fixmatch,
)


def softmatch(steps: int | None = None) -> ConsistencyRecipe:
    """SoftMatch (Chen et al., ICLR 2023, arXiv 2301.10921), with FixMatch's settings.

    The weights are those of predictions aligned with the uniform distribution, the
    labels those of predictions as they are.

    Args:
        steps: int; None for the 2^20 of the paper, with its batches.
    """
    momentum = {"momentum": decay(0.999, steps)}
    return like_fixmatch(
        "softmatch",
        steps,
        alignment=("DistributionAlignment", {"changes_targets": False, **momentum}),
        weighting=("TruncatedGaussian", momentum),
    )
