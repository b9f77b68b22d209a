"""Models of one's own as backbones."""

import os
from typing import Any

import keras

from semppl_keras.backbones.blocks import DATA_FORMAT
from semppl_keras.backbones.hub_families import family_of, freeze_untrained
from semppl_keras.backbones.scaling import at_size, in_colour

# Names of the last layer of the classifiers of keras.applications and KerasHub.
_TOPS = ("predictions", "logits", "probabilities")
_SHARES = ("softmax", "sigmoid", "log_softmax")
# What may stand between features and a classifier, or behind it.
_NEUTRAL = ("Identity", "Cast", "Dropout", "Activation", "Softmax")


def from_file(
    path: str | os.PathLike[str], *, channels: int = 3, pooling: str | None = None
) -> keras.Model:
    """A `.keras` file as a backbone; code that a file brings is not executed.

    Args:
        path: path of the file.
        channels, pooling: as for `features_of`.

    Raises:
        ValueError: if it cannot be loaded, or is no network from images to features.
        FileNotFoundError: if it is not there.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no file {os.fspath(path)!r}.")
    model = keras.models.load_model(path, safe_mode=True, compile=False)
    return features_of(model, channels=channels, pooling=pooling)


def features_of(
    model: Any, *, channels: int = 3, pooling: str | None = None
) -> keras.Model:
    """What a model has for a backbone: itself, or a part.

    Of `SemPPL` and its kin, of classifiers and embedders of this package it is their
    backbone, of another classifier what comes before its classes. A network of one
    size gets views of any size resized to that.

    Args:
        model: a `keras.Model` that takes images in [0, 1].
        channels: int, 1 or 3, of the views. Those of one are given three times to a
            network of three.
        pooling: None or "avg" for the mean over the positions of feature maps, or
            "max".

    Returns:
        `keras.Model` from views `(B, h, w, channels)` in [0, 1] to `(B, F)`.

    Raises:
        ValueError: if it does not take images of so many channels, or gives something
            else than features or maps.
    """
    if pooling not in (None, "avg", "max"):
        raise ValueError(f'`pooling` must be "avg" or "max". Received: {pooling!r}.')
    backbone = getattr(model, "backbone", None)
    if isinstance(backbone, keras.Model):
        model = backbone
    if family_of(model) is not None:
        raise ValueError(
            f"A file of a network of KerasHub alone, {type(model).__name__}, does not "
            "tell how its images are scaled. Save what "
            "semppl_keras.backbones.pretrained('hub:PRESET') or "
            "semppl_keras.backbones.from_hub(network, scale=..., offset=...) gives."
        )
    if isinstance(model, keras.Sequential) and not model.built:
        raise ValueError(
            f"The model '{model.name}' must be built, from images of a number of "
            "channels. Start it with keras.Input."
        )
    model = _without_top(model)
    # A file does not tell what was frozen.
    freeze_untrained(model)
    size, received = _images_of(model)
    if received not in (channels, 3):
        raise ValueError(
            f"The backbone '{model.name}' must take images of {channels} channel(s). "
            f"Received: one for {received}."
        )
    rank = len(model.output_shape)
    if rank not in (2, 4) or model.output_shape[-1] is None:
        raise ValueError(
            f"The backbone '{model.name}' must give features (B, F) or maps "
            f"(B, h, w, F). Received: output shape {model.output_shape}."
        )
    if rank == 2 and size is None and received == channels:
        return model
    views = keras.Input((None, None, channels), name="views")
    images = at_size(views, size)
    features = model(in_colour(images, channels) if received == 3 else images)
    if rank == 4:
        pool = keras.layers.GlobalAveragePooling2D
        if pooling == "max":
            pool = keras.layers.GlobalMaxPooling2D
        features = pool(DATA_FORMAT)(features)
    return keras.Model(views, features, name=f"pretrained_{model.name}")


def _images_of(model: Any) -> tuple[int | None, int]:
    """The side and the channels of the images that a model takes."""
    shape = getattr(model, "input_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[-1] is None:
        raise ValueError(
            f"The backbone '{model.name}' must take one batch of images (B, height, "
            f"width, channels). Received: input shape {shape}."
        )
    if shape[1] != shape[2]:
        raise ValueError(
            f"The backbone '{model.name}' must take square images. Received: input "
            f"shape {shape}."
        )
    return shape[1], shape[3]


def _without_top(model: Any) -> Any:
    """A model up to its features, where it ends in classes."""
    layers = getattr(model, "layers", [])
    index = len(layers) - 1
    while index > 0 and type(layers[index]).__name__ in _NEUTRAL:
        index -= 1
    behind = layers[index + 1 :]
    top = layers[index] if layers else None
    if not isinstance(top, keras.layers.Dense) or not hasattr(model, "inputs"):
        return model
    shares = any(_gives_shares(layer) for layer in (top, *behind))
    if not shares and top.name not in _TOPS:
        return model
    features = top.input
    while type(features._keras_history.operation).__name__ in ("Dropout", "Identity"):
        features = features._keras_history.operation.input
    return keras.Model(model.inputs[0], features, name=model.name)


def _gives_shares(layer: Any) -> bool:
    activation = getattr(getattr(layer, "activation", None), "__name__", "")
    return type(layer).__name__ == "Softmax" or activation in _SHARES
