"""Views that are harder for a student than what its teacher sees."""

from typing import Any

import keras

from semppl_keras.views import CachedViews, WeakStrong


def student_alone(student_views: Any, views: Any) -> WeakStrong | None:
    """What `student_views` of a `Distiller` stands for.

    Args:
        student_views: a `WeakStrong`; a `MultiCrop` of which the student's views are;
            a layer such as `RandAugment` that changes views in [0, 1]; or None.
        views: the `MultiCrop` of the classifier.

    Returns:
        A `WeakStrong` with one strong view, or None.

    Raises:
        TypeError, ValueError: for something else, or what does not go with `views`.
    """
    if student_views is None:
        return None
    if isinstance(student_views, (CachedViews, str)) or not isinstance(
        student_views, keras.Layer
    ):
        raise TypeError(
            "`student_views` must be a WeakStrong, a MultiCrop or a layer that changes "
            "images in [0, 1], such as RandAugment. Received: "
            f"{type(student_views).__name__}."
        )
    if views.cached:
        raise ValueError(
            "`student_views` are views of images, and `views` are of features that are "
            "kept. Leave them out."
        )
    if not isinstance(student_views, WeakStrong):
        return WeakStrong(views, student_views, cutout=0.0)
    if student_views.num_strong != 1:
        raise ValueError(
            "`student_views` must make one strong view of each image. Received: "
            f"num_strong={student_views.num_strong}."
        )
    for name in ("large_size", "value_range", "output_range"):
        own, other = (getattr(each, name) for each in (student_views, views))
        if own != other:
            raise ValueError(
                f"`student_views` must have the `{name}` of `views`, which the "
                f"classifier predicts on. Received: {own} and {other}."
            )
    return student_views
