"""A residual network for images of a few pixels and machines of a few cores."""

import functools
from collections.abc import Sequence

import keras
from keras import layers

from semppl_keras.backbones.blocks import (
    DATA_FORMAT,
    Wiring,
    basic_block,
    residual_stage,
    small_stem,
)
from semppl_keras.backbones.resnet import check_input_shape, check_widths
from semppl_keras.checks import check_integers


def SmallResNet(
    widths: Sequence[int] = (32, 64, 128),
    blocks_per_stage: int = 1,
    stem_strides: int = 1,
    input_shape: Sequence[int | None] = (None, None, 1),
    name: str | None = None,
) -> keras.Model:
    """A residual network for images of 8 to 32 pixels, quick on a processor.

    A 3x3 convolution, then one stage of basic blocks for each width, the second and
    the following ones with stride 2, then the mean over what is left of the image.
    Blocks and layer names are those of `ResNet`.

    Args:
        widths: the filters of each stage, positive integers, at least one.
        blocks_per_stage: blocks in each stage, at least 1.
        stem_strides: stride of the first convolution; 2 takes a quarter of the work.
        input_shape: (height, width, channels); height and width may be None.
        name: name of the model, by default `small_resnet`.

    Returns:
        A functional keras.Model from images (B, height, width, channels), in any
        range of values, to features (B, widths[-1]).

    Raises:
        ValueError: for `widths` that are not positive integers, `blocks_per_stage`
            or `stem_strides` below 1, an `input_shape` that is not one.

    Example:
        >>> backbone = SmallResNet()
        >>> backbone(keras.ops.zeros((4, 16, 16, 1))).shape
        (4, 128)
    """
    check_widths(widths)
    check_integers(1, blocks_per_stage=blocks_per_stage, stem_strides=stem_strides)
    check_input_shape(input_shape)

    wiring = Wiring()
    images = keras.Input(input_shape, name="images")
    x = small_stem(images, widths[0], stem_strides, wiring=wiring)
    for stage, filters in enumerate(widths, start=1):
        x = residual_stage(
            x,
            # From zeros, as the large networks start, some hundred steps are too few
            # (docs/results/settings.md).
            functools.partial(basic_block, last_scale="ones"),
            filters=filters,
            blocks=blocks_per_stage,
            strides=1 if stage == 1 else 2,
            name=f"stage{stage}",
            wiring=wiring,
        )
    features = layers.GlobalAveragePooling2D(data_format=DATA_FORMAT, name="pool")(x)
    return keras.Model(images, features, name=name or "small_resnet")
