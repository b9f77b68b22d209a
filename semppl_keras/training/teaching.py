"""What a teacher is shown of the views that its student sees."""

from typing import Any


def as_images(views: Any, made_by: Any, model: Any) -> Any:
    """Views as images in the range in which a model expects them.

    Args:
        views: `(B, s, s, C)`.
        made_by: what made them, with `output_range` and `value_range`.
        model: a Keras model; one without `views` takes the `value_range` of these.

    Returns:
        `(B, s, s, C)`.
    """
    low, high = made_by.output_range
    views = (views - low) / (high - low)
    low, high = getattr(
        getattr(model, "views", None), "value_range", made_by.value_range
    )
    return low + (high - low) * views
