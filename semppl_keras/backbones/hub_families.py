"""The networks of KerasHub that take images alone, or have a part that does."""

import math
from typing import Any, NamedTuple

# Parts of what a transformer gives.
CLASS_TOKEN, MEAN_PATCHES, BOTH = "class_token", "mean_patches", "both"


class Family(NamedTuple):
    """A class of KerasHub's backbones.

    Args:
        gives: "maps" `(B, h, w, F)`; "tokens" `(B, N, F)`; or "vector" `(B, F)`.
        pooling: how they become `(B, F)`, as the family's own linear evaluation or
            classifier does it.
        prefix: how many tokens stand before those of the patches, without registers.
        multiple: of what the side of its images has to be a multiple, by the network;
            None where images of any size go in.
        part: attribute of the part that takes images, where there is text, too.
    """

    gives: str = "maps"
    pooling: str = "avg"
    prefix: int = 0
    multiple: Any = None
    part: str | None = None


def _patch(network: Any) -> int:
    size = network.patch_size
    return size if isinstance(size, int) else math.lcm(*size)


def _windows(network: Any) -> int:
    """Of whole windows at every stage, of which each halves the sides."""
    halvings = 2 ** (len(network.depths) - 1)
    return network.patch_size * halvings * network.window_size


def _strides(network: Any) -> int:
    return math.prod(network.layerwise_strides)


# By the name of the class. DINOv2 is evaluated with the class token and the mean of
# the patches side by side, DINOv3's published classifier has the same; ViT and DeiT
# are classified by the class token, Swin by the mean. CLIP's linear probes are on the
# class token before the projection into the space that pictures share with texts,
# SigLIP pools by attention itself.
FAMILIES = {
    "CSPNetBackbone": Family(),
    "CLIPBackbone": Family("tokens", CLASS_TOKEN, 1, _patch, "vision_encoder"),
    "DeiTBackbone": Family("tokens", CLASS_TOKEN, 2, _patch),
    "DenseNetBackbone": Family(),
    "DINOV2Backbone": Family("tokens", BOTH, 1, _patch),
    "DINOV3Backbone": Family("tokens", BOTH, 1, _patch),
    "EfficientNetBackbone": Family(),
    "HGNetV2Backbone": Family(),
    "MiTBackbone": Family(multiple=_strides),
    "MobileNetBackbone": Family(),
    "ResNetBackbone": Family(),
    "SigLIPBackbone": Family("vector", "attention", 0, _patch, "vision_encoder"),
    "SwinTransformerBackbone": Family("tokens", MEAN_PATCHES, 0, _windows),
    "VGGBackbone": Family(),
    "ViTBackbone": Family("tokens", CLASS_TOKEN, 1, _patch),
    "XceptionBackbone": Family(),
}
# The classes of those parts, which are backbones of their own.
PARTS = {
    "CLIPVisionEncoder": Family("tokens", CLASS_TOKEN, 1, _patch),
    "SigLIPVisionEncoder": Family("vector", "attention", 0, _patch),
}


def family_of(network: Any) -> Family | None:
    """The family of a network of KerasHub, None of another one."""
    kind = type(network)
    if not kind.__module__.startswith("keras_hub."):
        return None
    return FAMILIES.get(kind.__name__) or PARTS.get(kind.__name__)


def freeze_untrained(network: Any) -> None:
    """Freezes weights that get no gradient, and those that are not saved as they are.

    DINO's mask token stands for patches that are hidden in its own training. DINOv2
    interpolates its position embeddings from those of another size, which alone are
    saved.
    """
    for weight in network.weights:
        if weight.name in ("mask_token", "interpolated_position_embeddings"):
            weight.trainable = False
