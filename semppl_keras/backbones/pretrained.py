"""Networks that others have trained, as backbones."""

import os
from typing import Any

from semppl_keras.backbones import conv_net, resnet, small_resnet
from semppl_keras.backbones.files import from_file
from semppl_keras.backbones.hub import hub_network
from semppl_keras.backbones.keras_applications import application
from semppl_keras.backbones.registry import BACKBONES
from semppl_keras.backbones.specs import parse


def pretrained(
    spec: str | os.PathLike[str],
    image_size: int | None = None,
    *,
    channels: int = 3,
    pooling: str | None = None,
) -> Any:
    """A backbone by its name, which takes views as they are.

    It scales them as the network was trained with, and gives features as the family's
    own linear evaluation takes them: convolutional networks the mean over the
    positions; ViT, DeiT and CLIP the class token, CLIP's before its projection; DINOv2
    and DINOv3 the class token and the mean of the patches, side by side; Swin the mean
    of its patches; SigLIP what its attention pools. docs/reference/backbones.md has all
    of them.

    Args:
        spec: str: "keras:NAME", an architecture of keras.applications with its ImageNet
            weights; "hub:PRESET", a network of KerasHub, or of a preset folder;
            "keras:NAME@none" and "hub:PRESET@none" without weights; "FILE.keras", a
            model of one's own that takes images in [0, 1]; or one of
            `backbones.registry.BACKBONES`, a new one.
        image_size: int or None, pixels of a side for which a transformer is built, its
            position embeddings interpolated; None for that of its training. Views of
            another size are resized to it. Convolutional networks take any.
        channels: int, 1 or 3, of the views; a single one is given three times to
            networks for colours.
        pooling: None for the family's; of maps "avg" or "max", of tokens "class_token",
            "mean_patches" or "both".

    Returns:
        `keras.Model` from views `(B, h, w, channels)` in [0, 1] to `(B, F)`, which is
        saved and loaded as any other. With networks of KerasHub: import keras_hub
        before it is loaded.

    Raises:
        ValueError: if there is no such network, or it cannot be had like this.
        ImportError: if KerasHub is needed and not installed.
        MissingWeights: if weights cannot be fetched; it says which file to put where.
        FileNotFoundError: if there is no such file.

    Example:
        >>> pretrained("keras:EfficientNetV2B0").output_shape
        (None, 1280)
    """
    if channels not in (1, 3):
        raise ValueError(f"`channels` must be 1 or 3. Received: {channels!r}.")
    kind, name, weights = parse(spec)
    if kind == "hub":
        return hub_network(
            name, weights, image_size=image_size, channels=channels, pooling=pooling
        )
    if pooling not in (None, "avg", "max"):
        raise ValueError(
            f'`pooling` of {spec} must be "avg" or "max". Received: {pooling!r}.'
        )
    if kind == "keras":
        return application(name, weights, channels=channels, pooling=pooling)
    if kind == "file":
        return from_file(name, channels=channels, pooling=pooling)
    if pooling == "max":
        raise ValueError(f"{spec} averages over the positions. Received: {pooling!r}.")
    module = {"small": small_resnet, "conv": conv_net}.get(name, resnet)
    make = getattr(module, BACKBONES[name])
    return make(input_shape=(None, None, channels))
