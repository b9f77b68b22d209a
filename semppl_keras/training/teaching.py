"""What a teacher is shown of the views that its student sees, and what it needs."""

from typing import Any

import numpy as np
from keras import ops


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


def range_of_images(model: Any, made_by: Any) -> tuple[float, float]:
    """Lowest and highest value of the images that a model takes.

    Args:
        model: a Keras model, with `views` or without.
        made_by: what makes the views of training, whose `value_range` a model without
            takes.
    """
    own = getattr(getattr(model, "views", None), "value_range", None)
    return own or made_by.value_range


def as_images(views: Any, made_by: Any, model: Any) -> Any:
    """Views as images in the range in which a model expects them.

    Args:
        views: `(B, s, s, C)`.
        made_by: what made them, with `output_range` and `value_range`.
        model: a Keras model, see `range_of_images`.

    Returns:
        `(B, s, s, C)`.
    """
    return to_range(views, made_by.output_range, range_of_images(model, made_by))


def check_has_learned(argument: str, model: Any) -> None:
    """Raises a ValueError for a model that predicts from a memory, which is empty.

    Args:
        argument: str, what the caller names the model.
        model: a Keras model.
    """
    stored_labels = getattr(getattr(model, "memory", None), "stored_labels", None)
    if stored_labels is not None and np.all(stored_labels() < 0):
        raise ValueError(
            f"`{argument}` predicts from labelled embeddings in its memory, which is "
            "empty. Call its `fit` first."
        )


def check_probabilities(
    argument: str,
    model: Any,
    image_shape: tuple[int, int, int],
    value_range: tuple[float, float],
    remedy: str,
) -> None:
    """Raises a ValueError for a model that does not give probabilities.

    Logits that are taken for them would teach nonsense.

    Args:
        argument: str, what the caller names the model.
        model: a Keras model; it is tried on two random images.
        image_shape: (height, width, channels) of these.
        value_range: (low, high) of these.
        remedy: str, the argument with which the caller takes logits.
    """
    images = np.random.default_rng(0).uniform(*value_range, size=(2, *image_shape))
    images = ops.convert_to_tensor(images.astype("float32"))
    outputs = ops.convert_to_numpy(ops.cast(model(images, training=False), "float32"))
    sums = outputs.sum(axis=-1)
    # Written so that outputs that are no numbers are refused as well.
    if not (outputs.min() >= 0 and np.abs(sums - 1).max() <= 0.01):
        raise ValueError(
            f"`{argument}` '{model.name}' must give probabilities, at least 0 and of "
            f"sum 1. Received: outputs of {outputs.min():.3g} and more, of sum "
            f"{sums[0]:.3g}. If they are logits, pass {remedy}."
        )
