"""The views of a student, by name."""

from typing import Any

from semppl_keras.runs.options.classifier import RAND_AUGMENT
from semppl_keras.views import MultiCrop, RandAugment, recipe


def make_student_views(name: str | None, views: MultiCrop) -> Any:
    """What a `Distiller` takes as `student_views`.

    Args:
        name: "rand_augment"; a recipe of `semppl_keras.views`, of the size and the
            ranges of the teacher's views; or None.
        views: The teacher's.

    Returns:
        A layer, a `MultiCrop` or None.
    """
    if name is None:
        return None
    if name == RAND_AUGMENT:
        return RandAugment(2)
    return recipe(
        name,
        large_size=views.large_size,
        value_range=views.value_range,
        output_range=views.output_range,
        num_small=0,
    )
