"""FixMatch: sure pseudo-labels of weak views for strong ones."""

from semppl_keras.recipes.consistency_recipe import ConsistencyRecipe


def fixmatch(steps: int | None = None) -> ConsistencyRecipe:
    """Sohn et al., NeurIPS 2020 (arXiv 2001.07685), as on CIFAR-10.

    Args:
        steps: int, for a training of some thousand; None for the paper's length.
    """
    recipe = ConsistencyRecipe(
        name="fixmatch",
        steps=2**20,
        batch_size=448,
        labelled_batch_size=64,
        trainer={
            "teacher": ("OnlineTeacher", {}),
            "weighting": ("FixedThreshold", {"threshold": 0.95}),
            "targets": ("HardLabels", {}),
            "weight_average": 0.999,
        },
    )
    return recipe if steps is None else recipe.scaled(steps)
