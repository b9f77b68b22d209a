"""Which arrays a residual network has: to check a file before a network is made."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from semppl_keras.backbones.blocks import (
    BOTTLENECK_EXPANSION,
    SELECTION_RATIO,
    SMALLEST_SELECTION,
)
from semppl_keras.backbones.resnet import BASIC_DEPTHS, BLOCKS_PER_STAGE

CONVOLUTION, NORMALISATION = "convolution", "normalisation"


def trunk_layers(
    depth: int,
    filters: int,
    *,
    stem: str = "imagenet",
    selective: bool = False,
    version: int = 1,
) -> Iterator[tuple[str, str, Any]]:
    """The layers with weights of `backbones.ResNet`, in the order of their authors.

    That is the stem's, then block by block the shortcut's first. Every stage's first
    block has a projected shortcut.

    Args:
        depth: of `backbones.ResNet`.
        filters: int, of the first stage.
        stem, selective, version: as `backbones.ResNet` takes them.

    Yields:
        Name of the layer, `CONVOLUTION` or `NORMALISATION`, and the shape of the
        kernel or the number of channels.
    """

    def convolution(
        name: str, size: int, inputs: int, outputs: int
    ) -> tuple[str, str, Any]:
        return name, CONVOLUTION, (size, size, inputs, outputs)

    def normalisation(name: str, channels: int) -> tuple[str, str, Any]:
        return name, NORMALISATION, channels

    if stem == "small":
        yield convolution("stem_conv", 3, 3, filters)
    elif selective:
        half = filters // 2
        yield convolution("stem_conv1", 3, 3, half)
        yield normalisation("stem_norm1", half)
        yield convolution("stem_conv2", 3, half, half)
        yield normalisation("stem_norm2", half)
        yield convolution("stem_conv", 3, half, filters)
    else:
        yield convolution("stem_conv", 7, 3, filters)
    if version == 1:
        yield normalisation("stem_norm", filters)

    basic = depth in BASIC_DEPTHS
    channels = filters
    for stage, blocks in enumerate(BLOCKS_PER_STAGE[depth], start=1):
        inner = filters * 2 ** (stage - 1)
        outer = inner if basic else BOTTLENECK_EXPANSION * inner
        for block in range(1, blocks + 1):
            name = f"stage{stage}_block{block}_"
            if block == 1:
                yield convolution(f"{name}shortcut_conv", 1, channels, outer)
                if version == 1:
                    yield normalisation(f"{name}shortcut_norm", outer)
            sizes = [(3, inner), (3, inner)]
            if not basic:
                sizes = [(1, inner), (3, inner), (1, outer)]
            for index, (size, outputs) in enumerate(sizes, start=1):
                streams = 2 if selective and not basic and index == 2 else 1
                outputs *= streams
                yield convolution(f"{name}conv{index}", size, channels, outputs)
                # Version 2 normalises what enters the convolution.
                yield normalisation(
                    f"{name}norm{index}", outputs if version == 1 else channels
                )
                channels = outputs // streams
                if streams == 2:
                    hidden = max(int(inner * SELECTION_RATIO), SMALLEST_SELECTION)
                    yield convolution(f"{name}select_conv1", 1, inner, hidden)
                    yield normalisation(f"{name}select_norm", hidden)
                    yield convolution(f"{name}select_conv2", 1, hidden, 2 * inner)
    if version == 2:
        yield normalisation("final_norm", channels)


def depth_of(blocks_per_stage: Iterable[int], basic: bool) -> int | None:
    """The depth of a network of so many blocks, or None."""
    for depth, blocks in BLOCKS_PER_STAGE.items():
        if blocks == tuple(blocks_per_stage) and basic == (depth in BASIC_DEPTHS):
            return depth
    return None


def place_of(layer_name: str) -> tuple[int, int, str] | None:
    """(stage, block, part) of a layer in a block, or None."""
    match = re.fullmatch(r"stage(\d+)_block(\d+)_(\w+)", layer_name)
    return match and (int(match[1]), int(match[2]), match[3])
