"""Residual networks of the papers, without their classifiers."""

import numbers
from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from semppl_keras.backbones.blocks import (
    DATA_FORMAT,
    Wiring,
    activated,
    basic_block,
    basic_preactivation_block,
    bottleneck_block,
    bottleneck_preactivation_block,
    imagenet_stem,
    residual_stage,
    small_stem,
)

BLOCKS_PER_STAGE = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
    200: (3, 24, 36, 3),
}
BASIC_DEPTHS = (18, 34)
FIRST_STAGE_FILTERS = 64
STEMS = ("imagenet", "small")
PADDINGS = ("symmetric", "same")

# (basic, version) to block.
BLOCKS = {
    (True, 1): basic_block,
    (False, 1): bottleneck_block,
    (True, 2): basic_preactivation_block,
    (False, 2): bottleneck_preactivation_block,
}


def ResNet(
    depth: int,
    width_multiplier: float = 1,
    selective_kernels: bool = False,
    stem: str = "imagenet",
    input_shape: Sequence[int | None] = (None, None, 3),
    *,
    version: int = 1,
    padding: str = "symmetric",
    project_first_blocks: bool = False,
    normalization: tuple[Sequence[float], Sequence[float]] | None = None,
    name: str | None = None,
) -> keras.Model:
    """A residual network without its classifier, from images to pooled features.

    He et al. 2015 (arXiv 1512.03385), table 1: basic blocks at depths 18 and 34,
    bottleneck blocks from 50 on, which stride in their 3x3 convolution. In version 1
    the last normalisation of each block starts with a scale of zero, as in the
    SimCLR and BYOL networks: every block begins as its own shortcut.

    SimCLRv2's networks are those with `padding="symmetric"`, with or without
    selective kernels, BYOL's and SemPPL's those with `padding="same"`; both have
    `project_first_blocks=True`, which from depth 50 on makes no difference.

    Layers are named after their place: `stem_conv`, `stage2_block1_conv1`,
    `stage2_block1_norm1`, and `stage2_block1_out` for the output of a block. Stages
    and blocks count from 1.

    Args:
        depth: 18, 34, 50, 101, 152 or 200.
        width_multiplier: positive number by which the filters of every convolution
            are multiplied, the stem's included; 64 * width_multiplier is whole.
        selective_kernels: bool. Every 3x3 convolution is a mixture of two (arXiv
            1903.06586), and stem and shortcuts are those of ResNet-D (arXiv
            1812.01187): three 3x3 convolutions for the 7x7 one, and the mean of 2x2
            pixels before the shortcut's convolution. As in SimCLRv2's code, the
            basic blocks of depths 18 and 34 get ResNet-D's part alone.
        stem: "imagenet" for a 7x7 convolution and a 3x3 maximum, each of stride 2;
            "small", for images of up to 64 pixels, for a 3x3 convolution of stride 1
            alone.
        input_shape: (height, width, channels); height and width may be None, the
            network then takes images of any size.
        version: 1, or 2 for the blocks of arXiv 1603.05027, which normalise and
            activate before each convolution.
        padding: how convolutions with strides meet the border. "symmetric" pads by
            the same amount on both sides, so that a stride looks at the same pixels
            for odd and even sizes; "same" is TensorFlow's SAME, which pads images of
            even size on the far side alone.
        project_first_blocks: bool. Whether the shortcut of every stage's first block
            is a convolution even where the shapes agree: in the first stage of depths
            18 and 34.
        normalization: None, or (mean, deviation) of the channels: `(images - mean) /
            deviation` becomes the first layer, `normalization`.
        name: name of the model; by default one made of depth and width, such as
            `resnet50_2x` or `resnet50_2x_sk`.

    Returns:
        A functional keras.Model from images (B, height, width, channels), in any
        range of values, to features (B, F). F is 512 * width_multiplier at depths
        18 and 34, 2048 * width_multiplier at the others.

    Raises:
        ValueError: for an unknown `depth`, `stem`, `version` or `padding`, a
            `width_multiplier` that gives no whole number of filters, selective kernels
            where there are none, an `input_shape` or `normalization` that is not one.

    Example:
        >>> backbone = ResNet(50, width_multiplier=2)
        >>> backbone(keras.ops.zeros((1, 224, 224, 3))).shape
        (1, 4096)
        >>> early = keras.Model(
        ...     backbone.input, backbone.get_layer("stage1_block3_out").output
        ... )
    """
    for argument, value, choices in (
        ("depth", depth, tuple(BLOCKS_PER_STAGE)),
        ("stem", stem, STEMS),
        ("version", version, (1, 2)),
        ("padding", padding, PADDINGS),
    ):
        if value not in choices:
            raise ValueError(
                f"`{argument}` must be one of {', '.join(map(repr, choices))}. "
                f"Received: {argument}={value!r}."
            )
    basic = depth in BASIC_DEPTHS
    if selective_kernels and version == 2:
        raise ValueError(
            "`selective_kernels` need blocks of version 1. Received: version=2."
        )
    filters = _first_stage_filters(width_multiplier)
    check_input_shape(input_shape)
    if name is None:
        name = f"resnet{depth}"
        if version == 2:
            name += "_v2"
        if width_multiplier != 1:
            name += f"_{width_multiplier:g}x"
        if selective_kernels:
            name += "_sk"
    wiring = Wiring(padding, bool(selective_kernels), bool(project_first_blocks))
    make_stem = imagenet_stem if stem == "imagenet" else small_stem

    images = keras.Input(input_shape, name="images")
    x = images
    if normalization is not None:
        x = _normalization(normalization, images.shape[-1])(x)
    x = make_stem(x, filters, wiring=wiring, activate=version == 1)
    for stage, blocks in enumerate(BLOCKS_PER_STAGE[depth], start=1):
        x = residual_stage(
            x,
            BLOCKS[basic, version],
            filters=filters * 2 ** (stage - 1),
            blocks=blocks,
            strides=1 if stage == 1 else 2,
            name=f"stage{stage}",
            wiring=wiring,
        )
    if version == 2:
        x = activated(x, "final_norm", "final_relu")
    features = layers.GlobalAveragePooling2D(data_format=DATA_FORMAT, name="pool")(x)
    return keras.Model(images, features, name=name)


def ResNet18(**kwargs: Any) -> keras.Model:
    """`ResNet(18, **kwargs)`: 11.2M weights, features (B, 512)."""
    return ResNet(18, **kwargs)


def ResNet34(**kwargs: Any) -> keras.Model:
    """`ResNet(34, **kwargs)`: 21.3M weights, features (B, 512)."""
    return ResNet(34, **kwargs)


def ResNet50(**kwargs: Any) -> keras.Model:
    """`ResNet(50, **kwargs)`: 23.5M weights, features (B, 2048)."""
    return ResNet(50, **kwargs)


def ResNet101(**kwargs: Any) -> keras.Model:
    """`ResNet(101, **kwargs)`: 42.5M weights, features (B, 2048)."""
    return ResNet(101, **kwargs)


def ResNet152(**kwargs: Any) -> keras.Model:
    """`ResNet(152, **kwargs)`: 58.1M weights, features (B, 2048)."""
    return ResNet(152, **kwargs)


def ResNet200(**kwargs: Any) -> keras.Model:
    """`ResNet(200, **kwargs)`: 62.6M weights, features (B, 2048)."""
    return ResNet(200, **kwargs)


def check_input_shape(input_shape: Any) -> None:
    """Raises a ValueError unless `input_shape` is (height, width, channels)."""
    is_shape = (
        isinstance(input_shape, (tuple, list))
        and len(input_shape) == 3
        and all(size is None or is_count(size) for size in input_shape[:2])
        and is_count(input_shape[2])
    )
    if not is_shape:
        raise ValueError(
            "`input_shape` must be (height, width, channels) without the batch, "
            "channels a positive integer, height and width positive integers or "
            f"None. Received: input_shape={input_shape!r}."
        )


def check_widths(widths: Any) -> None:
    """Raises a ValueError unless `widths` are the filters of at least one stage."""
    if (
        not isinstance(widths, (tuple, list))
        or len(widths) == 0
        or not all(is_count(width) for width in widths)
    ):
        raise ValueError(
            "`widths` must be a tuple of positive integers, one for each stage. "
            f"Received: widths={widths!r}."
        )


def is_count(value: Any) -> bool:
    return (
        not isinstance(value, bool)
        and isinstance(value, numbers.Integral)
        and int(value) >= 1
    )


def _first_stage_filters(width_multiplier: Any) -> int:
    is_width = (
        not isinstance(width_multiplier, bool)
        and isinstance(width_multiplier, numbers.Real)
        and float(width_multiplier) > 0
        and (FIRST_STAGE_FILTERS * float(width_multiplier)).is_integer()
    )
    if not is_width:
        raise ValueError(
            "`width_multiplier` must be a positive number that makes the "
            f"{FIRST_STAGE_FILTERS} filters of the first stage a whole number. "
            f"Received: width_multiplier={width_multiplier!r}."
        )
    return int(FIRST_STAGE_FILTERS * width_multiplier)


def _normalization(normalization: Any, channels: int) -> Any:
    try:
        mean, variance = (
            [float(number) ** power for number in numbers_of_channels]
            for numbers_of_channels, power in zip(normalization, (1, 2), strict=True)
        )
    except (TypeError, ValueError):
        mean, variance = [], []
    if not len(mean) == len(variance) == channels or not all(variance):
        raise ValueError(
            f"`normalization` must be (mean, deviation), a number for each of the "
            f"{channels} channels, deviations not 0. Received: "
            f"normalization={normalization!r}."
        )
    return layers.Normalization(
        axis=-1, mean=mean, variance=variance, name="normalization"
    )
