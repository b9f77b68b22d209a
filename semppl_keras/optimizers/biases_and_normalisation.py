"""Finds the variables that large-batch optimisers leave without decay."""

from typing import Any

import keras

NORMALISATION_LAYERS = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
    keras.layers.RMSNormalization,
)


def biases_and_normalisation(layer: keras.layers.Layer) -> list[Any]:
    """The trainable variables of a layer that are biases or scale a normalisation.

    They are found by what they are, in the layer and in all the layers within it: the
    variables of Keras' batch, group, layer and RMS normalisation (and of subclasses),
    and what a layer calls its `bias`. Their rank does not count (the bias of an
    attention layer is a matrix), nor their name.

    Args:
        layer: a built keras.layers.Layer or keras.Model.

    Returns:
        A list of keras.Variable, in the order of `layer.trainable_variables`.

    Raises:
        ValueError: if the layer is not built and so has no variables yet.

    Example:
        >>> model = keras.Sequential(
        ...     [keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(2)]
        ... )
        >>> [variable.path for variable in biases_and_normalisation(model)]
        ['dense/bias', 'dense_1/bias']
    """
    if not layer.built:
        raise ValueError(
            "`layer` must be built, before that it has no variables. Call it on a "
            f"batch or call its `build()` first. Received: layer={layer.name!r}."
        )
    found: set[int] = set()
    for part in layer._flatten_layers():
        if isinstance(part, NORMALISATION_LAYERS):
            found.update(id(variable) for variable in part.trainable_variables)
        # Absent, None without a bias, or a property of another kind.
        bias = getattr(part, "bias", None)
        if isinstance(bias, keras.Variable):
            found.add(id(bias))
    return [variable for variable in layer.trainable_variables if id(variable) in found]
