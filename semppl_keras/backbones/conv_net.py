"""A plain network for images of a few pixels: convolutions without shortcuts."""

from collections.abc import Sequence

import keras
from keras import layers

from semppl_keras.backbones.blocks import DATA_FORMAT, activated, convolution
from semppl_keras.backbones.resnet import check_input_shape, check_widths
from semppl_keras.checks import check_integers

# Half the side is gone before the first stage, which is where the time is saved.
_STEM_SIZE, _STEM_STRIDES = 4, 2


def ConvNet(
    widths: Sequence[int] = (32, 64, 128),
    convolutions_per_stage: int = 2,
    input_shape: Sequence[int | None] = (None, None, 1),
    name: str | None = None,
) -> keras.Model:
    """A plain network for images of 16 to 64 pixels, quick on a processor.

    A 4x4 convolution of stride 2, then a stage of 3x3 convolutions for each width, the
    maximum over 2x2 between stages, the mean over what is left of the image at the end;
    batch normalisation and ReLU after each convolution.

    Args:
        widths: the filters of each stage, positive integers, at least one; the stem has
            those of the first.
        convolutions_per_stage: at least 1.
        input_shape: (height, width, channels); height and width may be None.
        name: name of the model, by default `conv_net`.

    Returns:
        A functional keras.Model from images (B, height, width, channels), in any
        range of values, to features (B, widths[-1]).

    Raises:
        ValueError: for `widths` that are not positive integers,
            `convolutions_per_stage` below 1, an `input_shape` that is not one.

    Example:
        >>> backbone = ConvNet()
        >>> backbone(keras.ops.zeros((4, 28, 28, 1))).shape
        (4, 128)
    """
    check_widths(widths)
    check_integers(1, convolutions_per_stage=convolutions_per_stage)
    check_input_shape(input_shape)

    images = keras.Input(input_shape, name="images")
    x = convolution(images, widths[0], _STEM_SIZE, _STEM_STRIDES, "stem_conv")
    x = activated(x, "stem_norm", "stem_out")
    for stage, filters in enumerate(widths, start=1):
        if stage > 1:
            # "same": something is left of images of any size.
            x = layers.MaxPooling2D(
                2, padding="same", data_format=DATA_FORMAT, name=f"stage{stage}_pool"
            )(x)
        for index in range(1, convolutions_per_stage + 1):
            last = index == convolutions_per_stage
            x = convolution(x, filters, 3, 1, f"stage{stage}_conv{index}")
            x = activated(
                x,
                f"stage{stage}_norm{index}",
                f"stage{stage}_out" if last else f"stage{stage}_relu{index}",
            )
    features = layers.GlobalAveragePooling2D(data_format=DATA_FORMAT, name="pool")(x)
    return keras.Model(images, features, name=name or "conv_net")
