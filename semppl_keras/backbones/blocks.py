"""What residual networks are made of, as the authors of each family wire it."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from semppl_keras.backbones.selective_kernels import MixStreams, SumStreams

# Images are channels-last throughout the package, whatever the user's Keras
# configuration says.
DATA_FORMAT = "channels_last"

BOTTLENECK_EXPANSION = 4

# SimCLRv2's code (`resnet.py`): a sixteenth of the filters, at least 32.
SELECTION_RATIO = 1 / 16
SMALLEST_SELECTION = 32


@dataclasses.dataclass(frozen=True)
class Wiring:
    """Where the networks of different authors differ.

    Args:
        padding: "symmetric" or "same", see `ResNet`.
        selective_kernels: bool.
        project_first_blocks: bool.
    """

    padding: str = "symmetric"
    selective_kernels: bool = False
    project_first_blocks: bool = False


def residual_stage(
    x: Any,
    block: Callable[..., Any],
    *,
    filters: int,
    blocks: int,
    strides: int,
    name: str,
    wiring: Wiring,
) -> Any:
    """`blocks` blocks of one width in a row, the first of which may stride."""
    for index in range(1, blocks + 1):
        first = index == 1
        x = block(
            x,
            filters,
            strides if first else 1,
            f"{name}_block{index}",
            wiring=wiring,
            project=first and wiring.project_first_blocks,
        )
    return x


def basic_block(
    x: Any,
    filters: int,
    strides: int,
    name: str,
    *,
    wiring: Wiring,
    project: bool,
    last_scale: str = "zeros",
) -> Any:
    """Two 3x3 convolutions around a shortcut; (B, h, w, c) to (B, h', w', filters)."""
    branch = convolution(x, filters, 3, strides, f"{name}_conv1", wiring.padding)
    branch = activated(branch, f"{name}_norm1", f"{name}_relu1")
    branch = convolution(branch, filters, 3, 1, f"{name}_conv2")
    branch = normalisation(branch, f"{name}_norm2", scale=last_scale)
    return _joined(branch, _shortcut(x, filters, strides, name, wiring, project), name)


def bottleneck_block(
    x: Any, filters: int, strides: int, name: str, *, wiring: Wiring, project: bool
) -> Any:
    """1x1, 3x3, 1x1 around a shortcut; (B, h, w, c) to (B, h', w', 4 * filters)."""
    widened = BOTTLENECK_EXPANSION * filters
    branch = convolution(x, filters, 1, 1, f"{name}_conv1")
    branch = activated(branch, f"{name}_norm1", f"{name}_relu1")
    if wiring.selective_kernels:
        branch = selective_convolution(branch, filters, strides, name, wiring.padding)
    else:
        branch = convolution(
            branch, filters, 3, strides, f"{name}_conv2", wiring.padding
        )
        branch = activated(branch, f"{name}_norm2", f"{name}_relu2")
    branch = convolution(branch, widened, 1, 1, f"{name}_conv3")
    branch = normalisation(branch, f"{name}_norm3", scale="zeros")
    return _joined(branch, _shortcut(x, widened, strides, name, wiring, project), name)


def basic_preactivation_block(
    x: Any, filters: int, strides: int, name: str, *, wiring: Wiring, project: bool
) -> Any:
    """`basic_block` of version 2: normalised before each convolution."""
    shapes = [(filters, 3, strides), (filters, 3, 1)]
    return _preactivation_block(x, shapes, name, wiring, project)


def bottleneck_preactivation_block(
    x: Any, filters: int, strides: int, name: str, *, wiring: Wiring, project: bool
) -> Any:
    """`bottleneck_block` of version 2: normalised before each convolution."""
    widened = BOTTLENECK_EXPANSION * filters
    shapes = [(filters, 1, 1), (filters, 3, strides), (widened, 1, 1)]
    return _preactivation_block(x, shapes, name, wiring, project)


def selective_convolution(
    x: Any, filters: int, strides: int, name: str, padding: str
) -> Any:
    """Two 3x3 convolutions of which each image and filter chooses a mixture.

    Selective kernels (arXiv 1903.06586) as SimCLRv2 has them: both
    streams have kernels of one size, so that they are a single convolution.
    """
    streams = convolution(x, 2 * filters, 3, strides, f"{name}_conv2", padding)
    streams = activated(streams, f"{name}_norm2", f"{name}_relu2")
    selection = SumStreams(name=f"{name}_select_sum")(streams)
    selection = layers.GlobalAveragePooling2D(
        keepdims=True, data_format=DATA_FORMAT, name=f"{name}_select_pool"
    )(selection)
    hidden = max(int(filters * SELECTION_RATIO), SMALLEST_SELECTION)
    selection = convolution(selection, hidden, 1, 1, f"{name}_select_conv1")
    selection = activated(selection, f"{name}_select_norm", f"{name}_select_relu")
    selection = convolution(selection, 2 * filters, 1, 1, f"{name}_select_conv2")
    return MixStreams(name=f"{name}_select_mix")([streams, selection])


def small_stem(
    images: Any,
    filters: int,
    strides: int = 1,
    *,
    wiring: Wiring,
    activate: bool = True,
) -> Any:
    """A 3x3 convolution, which with a stride of 1 keeps the size of small images."""
    x = convolution(images, filters, 3, strides, "stem_conv", wiring.padding)
    return activated(x, "stem_norm", "stem_out") if activate else x


def imagenet_stem(
    images: Any, filters: int, *, wiring: Wiring, activate: bool = True
) -> Any:
    """A convolution and a maximum of stride 2; three convolutions in ResNet-D."""
    x = images
    if wiring.selective_kernels:
        for index, strides in ((1, 2), (2, 1)):
            x = convolution(
                x, filters // 2, 3, strides, f"stem_conv{index}", wiring.padding
            )
            x = activated(x, f"stem_norm{index}", f"stem_relu{index}")
        x = convolution(x, filters, 3, 1, "stem_conv")
    else:
        x = convolution(x, filters, 7, 2, "stem_conv", wiring.padding)
    if activate:
        x = activated(x, "stem_norm", "stem_relu")
    # Both families take the maximum over windows that TensorFlow's SAME lays.
    return layers.MaxPooling2D(
        3, strides=2, padding="same", data_format=DATA_FORMAT, name="stem_out"
    )(x)


def convolution(
    x: Any,
    filters: int,
    kernel_size: int,
    strides: int,
    name: str,
    padding: str = "same",
) -> Any:
    """A convolution without bias, He-initialised."""
    # With a stride of 1 and an odd kernel "same" is symmetric already; with a
    # stride of 2 it pads an even image on the far side only.
    if padding == "symmetric":
        padding = "same"
        if strides > 1:
            padding = "valid"
            if kernel_size > 1:
                x = layers.ZeroPadding2D(
                    (kernel_size - 1) // 2, data_format=DATA_FORMAT, name=f"{name}_pad"
                )(x)
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


def normalisation(x: Any, name: str, scale: str = "ones") -> Any:
    """Batch normalisation over the channels, with the constants of the papers."""
    return layers.BatchNormalization(
        axis=-1, momentum=0.9, epsilon=1e-5, gamma_initializer=scale, name=name
    )(x)


def activated(x: Any, norm_name: str, relu_name: str) -> Any:
    """Batch normalisation, then ReLU."""
    return layers.ReLU(name=relu_name)(normalisation(x, norm_name))


def _preactivation_block(
    x: Any, shapes: Any, name: str, wiring: Wiring, project: bool
) -> Any:
    branch = shortcut = x
    strides = max(stride for _, _, stride in shapes)
    filters = shapes[-1][0]
    for index, (width, kernel_size, stride) in enumerate(shapes, start=1):
        branch = activated(branch, f"{name}_norm{index}", f"{name}_relu{index}")
        if index == 1 and (project or strides > 1 or x.shape[-1] != filters):
            shortcut = convolution(
                branch, filters, 1, strides, f"{name}_shortcut_conv", wiring.padding
            )
        branch = convolution(
            branch, width, kernel_size, stride, f"{name}_conv{index}", wiring.padding
        )
    return layers.Add(name=f"{name}_out")([shortcut, branch])


def _shortcut(
    x: Any, filters: int, strides: int, name: str, wiring: Wiring, project: bool
) -> Any:
    if not project and strides == 1 and x.shape[-1] == filters:
        return x
    if wiring.selective_kernels:
        x = _mean_of_four(x, strides, f"{name}_shortcut_pool")
        strides = 1
    x = convolution(x, filters, 1, strides, f"{name}_shortcut_conv", wiring.padding)
    return normalisation(x, f"{name}_shortcut_norm")


def _mean_of_four(x: Any, strides: int, name: str) -> Any:
    """The pooled shortcut of ResNet-D (arXiv 1812.01187, figure 2c)."""
    padding = "same"
    if strides > 1:
        # The zeros count where the image has an odd size, as they do for the authors.
        padding = "valid"
        x = layers.ZeroPadding2D(
            ((0, 1), (0, 1)), data_format=DATA_FORMAT, name=f"{name}_pad"
        )(x)
    return layers.AveragePooling2D(
        2, strides=strides, padding=padding, data_format=DATA_FORMAT, name=name
    )(x)


def _joined(branch: Any, shortcut: Any, name: str) -> Any:
    x = layers.Add(name=f"{name}_add")([shortcut, branch])
    return layers.ReLU(name=f"{name}_out")(x)
