"""What a teacher is shown of the views that its student sees."""

from typing import Any


def to_range(
    values: Any, given: tuple[float, float], wanted: tuple[float, float]
) -> Any:
    """Values of one range (low, high) in another one."""
    if tuple(given) == tuple(wanted):
        return values
    low, high = given
    values = (values - low) / (high - low)
    low, high = wanted
    return low + (high - low) * values


def as_images(views: Any, made_by: Any, model: Any) -> Any:
    """Views as images in the range in which a model expects them.

    Args:
        views: `(B, s, s, C)`.
        made_by: what made them, with `output_range` and `value_range`.
        model: a Keras model; one without `views` takes the `value_range` of these.

    Returns:
        `(B, s, s, C)`.
    """
    own = getattr(model, "views", None)
    expected = getattr(own, "value_range", made_by.value_range)
    return to_range(views, made_by.output_range, expected)
