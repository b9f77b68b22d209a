"""The architectures of keras.applications as backbones."""

import os
import re
import warnings
from typing import Any

import keras

from semppl_keras.backbones.application_table import APPLICATIONS
from semppl_keras.backbones.missing_weights import MissingWeights, short_connections
from semppl_keras.backbones.scaling import in_colour, scaled

_ADDRESS = re.compile(r"URL fetch failure on (\S+?): ")


def application(
    name: str, weights: bool = True, *, channels: int = 3, pooling: str | None = None
) -> keras.Model:
    """An architecture of keras.applications without its top.

    Args:
        name: str, one of `APPLICATIONS`.
        weights: bool, whether it has those that Keras publishes, of ImageNet.
        channels: int, 1 or 3, of the views; the one is given three times.
        pooling: None or "avg" for the mean over the positions, or "max".

    Returns:
        `keras.Model` from views `(B, h, w, channels)` in [0, 1], scaled as it was
        trained with, to `(B, F)`.

    Raises:
        MissingWeights: if they are not here and cannot be fetched.
    """
    views = keras.Input((None, None, channels), name="views")
    network = _network(name, weights, pooling or "avg")
    images = scaled(in_colour(views, channels), APPLICATIONS[name].scaling)
    return keras.Model(views, network(images), name=f"pretrained_{network.name}")


def _network(name: str, weights: bool, pooling: str) -> Any:
    make = getattr(keras.applications, name)
    arguments = {
        "include_top": False,
        "input_shape": (None, None, 3),
        "pooling": pooling,
    }
    try:
        with short_connections(), warnings.catch_warnings():
            # That images of any size get the weights of the usual one, which is meant.
            warnings.filterwarnings("ignore", "`input_shape` is undefined")
            return make(weights="imagenet" if weights else None, **arguments)
    # Whatever the network raises on the way, Keras makes an `Exception` of it.
    except Exception as error:
        address = _ADDRESS.search(str(error))
        if address is None:
            raise
        file = address[1].rsplit("/", 1)[-1]
        folder = os.path.join(_keras_home(), "models")
        raise MissingWeights(
            f"The ImageNet weights of keras:{name} could not be fetched. The file is "
            f"{file}, to be had from {address[1]}; put it into {folder}, or give the "
            "network as --backbone FILE.keras.",
            file=file,
            address=address[1],
            folder=folder,
        ) from error


def _keras_home() -> str:
    """Where Keras keeps what it has fetched."""
    return os.environ.get("KERAS_HOME") or os.path.join(
        os.path.expanduser("~"), ".keras"
    )
