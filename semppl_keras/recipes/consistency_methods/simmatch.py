"""SimMatch: predictions smoothed by a memory, similarities that stay alike."""

from typing import Any

from semppl_keras.recipes.consistency_recipe import (
    ConsistencyRecipe,
    decay,
    like_fixmatch,
)


def simmatch(steps: int | None = None) -> ConsistencyRecipe:
    """SimMatch (Zheng et al., CVPR 2022, arXiv 2203.06915).

    The paper's length is that on ImageNet: 400 passes over 1.28 million images, 320 of
    them and 64 labelled ones a step, with an average as the teacher and the network
    itself as what is evaluated. There its strong views are MoCo v2's, a `MultiCrop`:
    `views=WeakStrong(weak, strong, cutout=0)`. With a number of steps it has its
    settings on CIFAR, FixMatch's, but with an average as the teacher. The memory is
    `LabelledMemory`'s queue in place of a slot for each labelled image; that and the
    projector of a `SemPPL` are taken as they are.

    Args:
        steps: int; None for the paper's.
    """
    short = steps is not None
    queue = max(1, min(32, steps // 20)) if steps is not None else 256
    strategies: dict[str, Any] = {
        "teacher": ("EMATeacher", {"momentum": decay(0.999, steps)}),
        "alignment": ("DistributionAlignment", {"queue": queue}),
        "refinement": ("MemorySmoothing", {"weight": 0.9, "temperature": 0.1}),
        "weighting": ("FixedThreshold", {"threshold": 0.95 if short else 0.7}),
        "targets": ("SoftLabels", {"temperature": 1.0}),
        "terms": (("InstanceSimilarity", {"weight": 1.0 if short else 5.0}),),
    }
    if short:
        return like_fixmatch("simmatch", steps, **strategies)
    return ConsistencyRecipe(
        name="simmatch",
        steps=400 * 4004,
        batch_size=320,
        labelled_batch_size=64,
        trainer={**strategies, "unlabelled_weight": 10.0, "weight_average": None},
        optimizer=("sgd_l2", {"learning_rate": 0.03, "l2": 1e-4, "warmup": 5 / 400}),
    )
