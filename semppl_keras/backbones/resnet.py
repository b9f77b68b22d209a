"""Residual networks, version 1: the activation follows the addition."""

import numbers

import keras
from keras import layers

# Images are channels-last throughout the package, whatever the user's Keras
# configuration says.
DATA_FORMAT = "channels_last"

BLOCKS_PER_STAGE = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
    200: (3, 24, 36, 3),
}
BASIC_DEPTHS = (18, 34)
BOTTLENECK_EXPANSION = 4
FIRST_STAGE_FILTERS = 64
STEMS = ("imagenet", "small")


def ResNet(
    depth,
    width_multiplier=1,
    stem="imagenet",
    input_shape=(None, None, 3),
    name=None,
):
    """A residual network without its classifier, from images to pooled features.

    He et al. 2015 (arXiv 1512.03385), table 1: basic blocks at depths 18 and 34,
    bottleneck blocks from 50 on, which stride in their 3x3 convolution. Strided
    windows are padded by the same amount on both sides, so that a stride looks at
    the same pixels for odd and even sizes, which Keras' `padding="same"` does not.
    The last normalisation of each block starts with a scale of zero, as in the
    SimCLR and BYOL networks: every block begins as its own shortcut.

    Layers are named after their place: `stem_conv`, `stage2_block1_conv1`,
    `stage2_block1_norm1`, and `stage2_block1_out` for the output of a block. Stages
    and blocks count from 1.

    Args:
        depth: 18, 34, 50, 101, 152 or 200.
        width_multiplier: positive number by which the filters of every convolution
            are multiplied, the stem's included; 64 * width_multiplier is whole.
        stem: "imagenet" for a 7x7 convolution and a 3x3 maximum, each of stride 2;
            "small", for images of 32 pixels or so, for a 3x3 convolution of
            stride 1 alone.
        input_shape: (height, width, channels); height and width may be None, the
            network then takes images of any size.
        name: name of the model; by default one made of depth and width, such as
            `resnet50_2x`.

    Returns:
        A functional keras.Model from images (B, height, width, channels), in any
        range of values, to features (B, F). F is 512 * width_multiplier at depths
        18 and 34, 2048 * width_multiplier at the others.

    Raises:
        ValueError: for an unknown `depth` or `stem`, a `width_multiplier` that gives
            no whole number of filters, an `input_shape` that is not one.

    Example:
        >>> backbone = ResNet(50, width_multiplier=2)
        >>> backbone(keras.ops.zeros((1, 224, 224, 3))).shape
        (1, 4096)
        >>> early = keras.Model(
        ...     backbone.input, backbone.get_layer("stage1_block3_out").output
        ... )
    """
    if depth not in BLOCKS_PER_STAGE:
        raise ValueError(
            f"`depth` must be one of {', '.join(map(str, BLOCKS_PER_STAGE))}. "
            f"Received: depth={depth!r}."
        )
    if stem not in STEMS:
        raise ValueError(
            f"`stem` must be one of {', '.join(map(repr, STEMS))}. "
            f"Received: stem={stem!r}."
        )
    filters = _first_stage_filters(width_multiplier)
    check_input_shape(input_shape)
    if name is None:
        name = f"resnet{depth}"
        if width_multiplier != 1:
            name += f"_{width_multiplier:g}x"
    block = basic_block if depth in BASIC_DEPTHS else bottleneck_block

    images = keras.Input(input_shape, name="images")
    x = (
        _imagenet_stem(images, filters)
        if stem == "imagenet"
        else small_stem(images, filters)
    )
    for stage, blocks in enumerate(BLOCKS_PER_STAGE[depth], start=1):
        x = residual_stage(
            x,
            block,
            filters=filters * 2 ** (stage - 1),
            blocks=blocks,
            strides=1 if stage == 1 else 2,
            name=f"stage{stage}",
        )
    features = layers.GlobalAveragePooling2D(data_format=DATA_FORMAT, name="pool")(x)
    return keras.Model(images, features, name=name)


def ResNet18(**kwargs):
    """`ResNet(18, **kwargs)`: 11.2M weights, features (B, 512)."""
    return ResNet(18, **kwargs)


def ResNet34(**kwargs):
    """`ResNet(34, **kwargs)`: 21.3M weights, features (B, 512)."""
    return ResNet(34, **kwargs)


def ResNet50(**kwargs):
    """`ResNet(50, **kwargs)`: 23.5M weights, features (B, 2048)."""
    return ResNet(50, **kwargs)


def ResNet101(**kwargs):
    """`ResNet(101, **kwargs)`: 42.5M weights, features (B, 2048)."""
    return ResNet(101, **kwargs)


def ResNet152(**kwargs):
    """`ResNet(152, **kwargs)`: 58.1M weights, features (B, 2048)."""
    return ResNet(152, **kwargs)


def ResNet200(**kwargs):
    """`ResNet(200, **kwargs)`: 62.6M weights, features (B, 2048)."""
    return ResNet(200, **kwargs)


def residual_stage(x, block, *, filters, blocks, strides, name):
    """`blocks` blocks of one width in a row, the first of which may stride."""
    for index in range(1, blocks + 1):
        x = block(x, filters, strides if index == 1 else 1, f"{name}_block{index}")
    return x


def basic_block(x, filters, strides, name, last_scale="zeros"):
    """Two 3x3 convolutions around a shortcut; (B, h, w, c) to (B, h', w', filters)."""
    branch = convolution(x, filters, 3, strides, f"{name}_conv1")
    branch = normalisation(branch, f"{name}_norm1")
    branch = layers.ReLU(name=f"{name}_relu1")(branch)
    branch = convolution(branch, filters, 3, 1, f"{name}_conv2")
    branch = normalisation(branch, f"{name}_norm2", scale=last_scale)
    return _joined(branch, _shortcut(x, filters, strides, name), name)


def bottleneck_block(x, filters, strides, name):
    """1x1, 3x3, 1x1 around a shortcut; (B, h, w, c) to (B, h', w', 4 * filters)."""
    widened = BOTTLENECK_EXPANSION * filters
    branch = convolution(x, filters, 1, 1, f"{name}_conv1")
    branch = normalisation(branch, f"{name}_norm1")
    branch = layers.ReLU(name=f"{name}_relu1")(branch)
    branch = convolution(branch, filters, 3, strides, f"{name}_conv2")
    branch = normalisation(branch, f"{name}_norm2")
    branch = layers.ReLU(name=f"{name}_relu2")(branch)
    branch = convolution(branch, widened, 1, 1, f"{name}_conv3")
    branch = normalisation(branch, f"{name}_norm3", scale="zeros")
    return _joined(branch, _shortcut(x, widened, strides, name), name)


def small_stem(images, filters, strides=1):
    """A 3x3 convolution, which with a stride of 1 keeps the size of small images."""
    x = convolution(images, filters, 3, strides, "stem_conv")
    x = normalisation(x, "stem_norm")
    return layers.ReLU(name="stem_out")(x)


def convolution(x, filters, kernel_size, strides, name):
    """A convolution without bias, He-initialised, padded alike on both sides."""
    # With a stride of 1 and an odd kernel "same" is symmetric already; with a
    # stride of 2 it pads an even image on the far side only.
    padding = "same"
    if strides > 1:
        padding = "valid"
        if kernel_size > 1:
            x = _padded(x, kernel_size, name)
    return layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding=padding,
        data_format=DATA_FORMAT,
        use_bias=False,
        # A new instance for each layer: an initialiser that is called twice gives
        # the same values twice.
        kernel_initializer=keras.initializers.VarianceScaling(
            scale=2.0, mode="fan_out", distribution="truncated_normal"
        ),
        name=name,
    )(x)


def normalisation(x, name, scale="ones"):
    """Batch normalisation over the channels, with the constants of the papers."""
    return layers.BatchNormalization(
        axis=-1, momentum=0.9, epsilon=1e-5, gamma_initializer=scale, name=name
    )(x)


def check_input_shape(input_shape):
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


def is_count(value):
    return (
        isinstance(value, numbers.Integral)
        and not isinstance(value, bool)
        and value >= 1
    )


def _first_stage_filters(width_multiplier):
    is_width = (
        isinstance(width_multiplier, numbers.Real)
        and not isinstance(width_multiplier, bool)
        and width_multiplier > 0
        and float(FIRST_STAGE_FILTERS * width_multiplier).is_integer()
    )
    if not is_width:
        raise ValueError(
            "`width_multiplier` must be a positive number that makes the "
            f"{FIRST_STAGE_FILTERS} filters of the first stage a whole number. "
            f"Received: width_multiplier={width_multiplier!r}."
        )
    return int(FIRST_STAGE_FILTERS * width_multiplier)


def _imagenet_stem(images, filters):
    x = convolution(images, filters, 7, 2, "stem_conv")
    x = normalisation(x, "stem_norm")
    x = layers.ReLU(name="stem_relu")(x)
    # After the ReLU a border of zeros never wins against a pixel: it stands for
    # the border of minus infinity that a padded maximum asks for.
    x = _padded(x, 3, "stem_out")
    return layers.MaxPooling2D(3, strides=2, data_format=DATA_FORMAT, name="stem_out")(
        x
    )


def _padded(x, kernel_size, name):
    return layers.ZeroPadding2D(
        (kernel_size - 1) // 2, data_format=DATA_FORMAT, name=f"{name}_pad"
    )(x)


def _shortcut(x, filters, strides, name):
    if strides == 1 and x.shape[-1] == filters:
        return x
    x = convolution(x, filters, 1, strides, f"{name}_shortcut_conv")
    return normalisation(x, f"{name}_shortcut_norm")


def _joined(branch, shortcut, name):
    x = layers.Add(name=f"{name}_add")([shortcut, branch])
    return layers.ReLU(name=f"{name}_out")(x)
