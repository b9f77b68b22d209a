"""Which part of a pretrained backbone is trained."""

from typing import Any

import keras

from semppl_keras.networks.blocks import blocks_of, has_stages, top_of

PARTS = ("heads", "top", "all")
BATCH_NORM = ("adapt", "inference")


def train_part(
    backbone: keras.Model, part: str = "all", batch_norm: str = "adapt"
) -> None:
    """Freezes a backbone below the part that is to be trained, and releases the rest.

    Where layers hold adapters (`enable_lora`), these alone are trained, within the
    part.

    Args:
        backbone: built `keras.Model`; see `networks.blocks` for its blocks.
        part: "heads", nothing of it: what is put on it is trained alone, and it runs as
            in inference; "top", its last stage (convolutional networks: all from the
            last reduction of the resolution on) or the last third of its blocks
            (transformers); "all".
        batch_norm: "adapt" for batch normalisation that follows the images where it is
            trained: by the statistics of each batch in training, by their moving
            averages afterwards; or "inference", which keeps the statistics that the
            backbone came with, and trains scale and offset alone. What is frozen keeps
            its statistics in either case. A target network follows.

    Raises:
        ValueError: for another part or another kind of batch normalisation.
    """
    check_part(part, batch_norm)
    blocks = blocks_of(backbone)
    first = {"heads": len(blocks), "all": 0}.get(part)
    if first is None:
        first = top_of(len(blocks), has_stages(backbone))
    trained = {id(layer) for block in blocks[first:] for layer in block}
    frozen = {id(layer) for block in blocks[:first] for layer in block}
    layers = backbone._flatten_layers()
    adapted = any(_adapters(layer) for layer in layers)
    for layer in layers:
        # Not by the public setter, which reaches everything below a layer.
        within = {id(inner) for inner in layer._flatten_layers()}
        layer._trainable = part != "heads" and (
            bool(within & trained) or not within & frozen
        )
        own = _adapters(layer) if adapted else layer._trainable_variables
        chosen = {id(weight) for weight in own} if id(layer) in trained else set()
        for weight in layer._trainable_variables:
            weight.trainable = id(weight) in chosen
        if batch_norm == "inference" and isinstance(
            layer, keras.layers.BatchNormalization
        ):
            layer._trainable = False


def choose_part(
    backbone: keras.Model, part: str | None, batch_norm: str | None
) -> None:
    """`train_part` where either is given; what is frozen already stays otherwise."""
    if part is not None or batch_norm is not None:
        train_part(backbone, part or "all", batch_norm or "adapt")


def check_part(part: Any, batch_norm: Any) -> None:
    """Raises a ValueError for what `train_part` does not know."""
    for name, value, known in (
        ("trainable", part, PARTS),
        ("batch_norm", batch_norm, BATCH_NORM),
    ):
        if value not in known:
            raise ValueError(
                f"`{name}` must be one of {known}. Received: {name}={value!r}."
            )


def _adapters(layer: Any) -> list[Any]:
    """The weights of a layer's LoRA, of one that has it."""
    if not getattr(layer, "lora_enabled", False):
        return []
    weights = layer._trainable_variables
    return [weight for weight in weights if weight.name.startswith("lora_")]
