"""SimMatch: predictions smoothed by a memory, similarities that stay alike."""

import dataclasses

from semppl_keras.recipes.consistency_recipe import ConsistencyRecipe


def simmatch(steps: int | None = None) -> ConsistencyRecipe:
    """Zheng et al., CVPR 2022 (arXiv 2203.06915), as on ImageNet.

    400 epochs over 1.28 million unlabelled images; the network itself is evaluated, and
    an average of it the teacher. The paper's strong views there are MoCo v2's, a
    `MultiCrop`: `views=WeakStrong(weak, strong, cutout=0)`. The memory is a
    `LabelledMemory`, queues in place of a slot for each labelled image, and begins, as
    the projector does, with that of a `SemPPL`.

    Args:
        steps: int, for a training of some thousand, with threshold and weights as on
            CIFAR; None for the paper's length.
    """
    recipe = ConsistencyRecipe(
        name="simmatch",
        steps=1_600_000,
        batch_size=320,
        labelled_batch_size=64,
        trainer={
            "teacher": ("EMATeacher", {"momentum": 0.999}),
            "alignment": ("DistributionAlignment", {"queue": 256}),
            "refinement": ("MemorySmoothing", {"weight": 0.9, "temperature": 0.1}),
            "weighting": ("FixedThreshold", {"threshold": 0.7}),
            "targets": ("SoftLabels", {"temperature": 1.0}),
            "terms": (("InstanceSimilarity", {"weight": 5.0}),),
            "unlabelled_weight": 10.0,
            "weight_average": None,
        },
        schedule="cosine",
        warmup=5 / 400,
        optimizer=("sgd", {"l2": 1e-4}),
    )
    if steps is None:
        return recipe
    on_cifar = {
        "alignment": ("DistributionAlignment", {"queue": 32}),
        "weighting": ("FixedThreshold", {"threshold": 0.95}),
        "terms": (("InstanceSimilarity", {"weight": 1.0}),),
        "unlabelled_weight": 1.0,
        "weight_average": 0.999,
    }
    trainer = {**recipe.trainer, **on_cifar}
    recipe = dataclasses.replace(
        recipe, trainer=trainer, optimizer=("sgd", {"l2": 5e-4})
    )
    return recipe.scaled(steps)
