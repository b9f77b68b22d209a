"""AdaMatch: predictions and threshold follow those of the labelled images."""

import dataclasses

from semppl_keras.recipes.consistency_methods.fixmatch import fixmatch
from semppl_keras.recipes.consistency_recipe import ConsistencyRecipe


def adamatch(steps: int | None = None) -> ConsistencyRecipe:
    """Berthelot et al., ICLR 2022 (arXiv 2106.04732), with FixMatch's schedule.

    Labelled images are learned under weak and strong views, their logits drawn between
    those in the common pass and in one of their own; three unlabelled images for each.
    The targets are the aligned probabilities.

    Args:
        steps: int, for a training of some thousand; None for FixMatch's length.
    """
    recipe = fixmatch()
    recipe = dataclasses.replace(
        recipe,
        name="adamatch",
        batch_size=3 * recipe.labelled_batch_size,
        trainer={
            **recipe.trainer,
            "alignment": (
                "DistributionAlignment",
                {"target": "labelled", "queue": 128},
            ),
            "weighting": ("RelativeThreshold", {"share": 0.9}),
            "targets": ("SoftLabels", {"temperature": 1.0}),
            "unlabelled_ramp": 0.5,
            "labelled_strong": True,
            "logit_interpolation": True,
        },
    )
    return recipe if steps is None else recipe.scaled(steps)
