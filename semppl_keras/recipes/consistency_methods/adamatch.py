"""AdaMatch: predictions and threshold follow those of the labelled images."""

from semppl_keras.recipes.consistency_recipe import ConsistencyRecipe, like_fixmatch


def adamatch(steps: int | None = None) -> ConsistencyRecipe:
    """AdaMatch (Berthelot et al., ICLR 2022, arXiv 2106.04732), on FixMatch's schedule.

    Labelled images are learned under weak and strong views, their logits drawn between
    those in the common pass and in one of their own; three unlabelled images for each.
    The targets are the aligned probabilities.

    Args:
        steps: int; None for FixMatch's 2^20, with batches of 64.
    """
    queue = 128 if steps is None else max(1, min(128, steps // 20))
    return like_fixmatch(
        "adamatch",
        steps,
        ratio=3,
        alignment=("DistributionAlignment", {"target": "labelled", "queue": queue}),
        weighting=("RelativeThreshold", {"share": 0.9}),
        targets=("SoftLabels", {"temperature": 1.0}),
        unlabelled_ramp=0.5,
        labelled_strong=True,
        logit_interpolation=True,
    )
