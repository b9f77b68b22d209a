"""Several networks of the same images as one backbone."""

from collections.abc import Sequence

import keras
from keras import layers


def joined_backbone(
    parts: Sequence[tuple[keras.Model, keras.layers.Layer | None, float]],
    input_shape: Sequence[int | None],
    name: str = "joined",
) -> keras.Model:
    """A network whose features are those of others, side by side.

    What each part gives is brought to length 1 and multiplied by its weight, so that
    the cosine similarity of two images is the mean of the parts', weighted by the
    squares.

    Args:
        parts: networks from images to features `(B, F_i)`, or to feature maps, of which
            the mean is taken; a layer that their features pass, such as that of
            `fit_directions`, or None; and a positive weight.
        input_shape: (height, width, channels) of the images, which all parts take.
        name: of the model.

    Returns:
        A functional `keras.Model` from images to features `(B, sum of F_i)`. The parts
        are its own layers, as they are.
    """
    images = keras.Input(tuple(input_shape), name="images")
    features = []
    for index, (network, directions, weight) in enumerate(parts):
        values = network(images)
        if len(values.shape) == 4:
            values = layers.GlobalAveragePooling2D(
                data_format="channels_last", name=f"pool_{index}"
            )(values)
        if directions is not None:
            values = directions(values)
        values = layers.UnitNormalization(dtype="float32", name=f"unit_{index}")(values)
        features.append(
            layers.Rescaling(weight, dtype="float32", name=f"weight_{index}")(values)
        )
    if len(features) > 1:
        features = [layers.Concatenate(dtype="float32", name="parts")(features)]
    return keras.Model(images, features[0], name=name)
