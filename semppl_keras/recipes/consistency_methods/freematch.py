"""FreeMatch: thresholds that rise with the network's confidence, class by class."""

from semppl_keras.recipes.consistency_recipe import (
    ConsistencyRecipe,
    decay,
    like_fixmatch,
)


def freematch(steps: int | None = None) -> ConsistencyRecipe:
    """FreeMatch (Wang et al., ICLR 2023, arXiv 2205.07246), with FixMatch's settings.

    Without the fairness term (`consistency.MaxEntropy`), which has no lower bound.

    Args:
        steps: int; None for the 2^20 of the paper, with its batches.
    """
    momentum = {"momentum": decay(0.999, steps)}
    return like_fixmatch(
        "freematch", steps, weighting=("SelfAdaptiveThreshold", momentum)
    )
