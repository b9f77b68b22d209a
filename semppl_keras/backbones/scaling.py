"""From views in [0, 1] to what a network was trained with."""

from collections.abc import Sequence
from typing import Any

import keras

from semppl_keras.backbones.blocks import DATA_FORMAT

# Of RGB in [0, 1] over the images of ImageNet.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Of blue, green and red in [0, 255].
_MEAN_BGR = (103.939, 116.779, 123.68)

Factors = float | Sequence[float]


def scaled(views: Any, scaling: str) -> Any:
    """Views as a network of keras.applications takes them.

    Args:
        views: Keras tensor `(B, h, w, 3)` in [0, 1].
        scaling: str, as in `application_table.Application`.

    Returns:
        Keras tensor of the same shape.
    """
    if scaling == "inside":
        return rescaled(views, 255.0)
    if scaling == "signed":
        return rescaled(views, 2.0, -1.0)
    if scaling == "standardised":
        offset = [-m / d for m, d in zip(_MEAN, _DEVIATION, strict=True)]
        return rescaled(views, [1 / d for d in _DEVIATION], offset)
    return rescaled(
        keras.ops.flip(views, axis=-1), 255.0, [-mean for mean in _MEAN_BGR]
    )


def rescaled(views: Any, scale: Factors, offset: Factors = 0.0) -> Any:
    """`views * scale + offset`, each a number or one for each channel."""
    layer = keras.layers.Rescaling(scale, offset, name="scaled_as_trained")
    return layer(views)


def in_colour(views: Any, channels: int) -> Any:
    """Views of one channel as three, which are the same; others as they are."""
    if channels == 3:
        return views
    return keras.layers.Concatenate(name="grey_as_rgb")([views] * 3)


def at_size(views: Any, size: int | None) -> Any:
    """Views resized to squares of a side, bilinearly; None leaves them as they are."""
    if size is None:
        return views
    layer = keras.layers.Resizing(
        size, size, data_format=DATA_FORMAT, name="at_size_of_network"
    )
    return layer(views)
