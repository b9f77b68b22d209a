"""The parts of a model out of its saved configuration."""

import keras


def with_parts(config, names, custom_objects=None):
    """A configuration in which the parts are objects again.

    Args:
        config: dict, left as it is.
        names: of its entries that hold layers, models or views.
        custom_objects: as in `keras.saving.deserialize_keras_object`.

    Returns:
        dict.
    """
    config = dict(config)
    for name in names:
        if isinstance(config[name], dict):
            config[name] = keras.saving.deserialize_keras_object(
                config[name], custom_objects=custom_objects
            )
    return config
