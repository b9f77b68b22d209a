"""The moving statistics of batch normalisation."""

import contextlib
from collections.abc import Iterator

import keras
from keras import ops


@contextlib.contextmanager
def statistics_kept(network: keras.layers.Layer) -> Iterator[None]:
    """A pass in training mode within it leaves the moving statistics as they were."""
    variables = [
        variable
        for layer in network._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
        for variable in (layer.moving_mean, layer.moving_variance)
    ]
    # Torch's would change with the variable.
    values = [ops.copy(variable.value) for variable in variables]
    try:
        yield
    finally:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
