"""Layers that normalise a batch in another way for a while, with the same numbers."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras


@contextlib.contextmanager
def normalising_by(
    model: keras.Model,
    make_call: Callable[[Any, Callable[..., Any]], Callable[..., Any]],
    fits: Callable[[Any], bool],
) -> Iterator[None]:
    """Within it batch normalisation has other calls; the layers are the user's.

    Layers of Keras' own class alone, whose computation is known.

    Args:
        model: whose layers are meant, those of its networks too.
        make_call: of a layer and its call what is put in the place of that.
        fits: of a layer whether it can be.
    """
    normalising = [
        layer
        for layer in model._flatten_layers()
        if type(layer) is keras.layers.BatchNormalization and fits(layer)
    ]
    for layer in normalising:
        # Past Keras' tracking of attributes.
        vars(layer)["call"] = make_call(layer, layer.call)
    try:
        yield
    finally:
        for layer in normalising:
            vars(layer).pop("call", None)
