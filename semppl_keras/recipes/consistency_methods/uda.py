"""UDA: sharpened predictions of weak views for strong ones."""

from semppl_keras.recipes.consistency_recipe import ConsistencyRecipe


def uda(steps: int | None = None) -> ConsistencyRecipe:
    """Xie et al., NeurIPS 2020 (arXiv 1904.12848), as on CIFAR-10.

    The divergence of the prediction from its sharpened target is their cross-entropy up
    to the entropy of the target, which has no gradient. Without the annealing of the
    labels' part, which the paper has for text.

    Args:
        steps: int, for a training of some thousand; None for the paper's length.
    """
    recipe = ConsistencyRecipe(
        name="uda",
        steps=500_000,
        batch_size=448,
        labelled_batch_size=64,
        trainer={
            "teacher": ("OnlineTeacher", {}),
            "weighting": ("FixedThreshold", {"threshold": 0.8}),
            "targets": ("SoftLabels", {"temperature": 0.4}),
            "weight_average": 0.999,
        },
    )
    return recipe if steps is None else recipe.scaled(steps)
