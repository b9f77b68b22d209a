"""Layers of Keras computed by torch's own kernels, on images as they lie in memory.

Keras' convolutions and maxima on torch copy channels-last images to channels-first
ones, the convolutions back again and the kernel as well, forwards and backwards; its
batch normalisation passes over the images a dozen times. Torch computes each of them in
one pass of one kernel, on channels-last memory.
"""

import contextlib
import math
import types
from collections.abc import Callable, Iterator
from typing import Any

import keras
import torch
from keras import layers, ops
from torch.nn import functional

# The batch's dimension and the channels' come first for torch, whose memory may have
# the channels last all the same: no value moves.
_FIRST, _LAST = (0, 3, 1, 2), (0, 2, 3, 1)
# (height, width, in, out) to (out, in, height, width), and back.
_KERNEL, _KERNEL_BACK = (3, 2, 0, 1), (2, 3, 1, 0)
# Channels that oneDNN takes at once.
_BLOCK = 16


@contextlib.contextmanager
def torch_kernels(network: keras.layers.Layer) -> Iterator[None]:
    """Within it the layers of a network are computed by torch's own kernels.

    Keras' own classes alone, no subclass: those may compute something else. For a
    while and not for good: the layers are the user's. What has been put in a layer's
    place is left: statistics of several processes.

    Args:
        network: a model or another layer that has layers.
    """
    replaced = []
    for layer in network._flatten_layers():
        if type(layer) not in _REPLACED:
            continue
        name, function, fits = _REPLACED[type(layer)]
        if name in vars(layer) or not fits(layer):
            continue
        vars(layer)[name] = types.MethodType(function, layer)
        replaced.append((layer, name))
    try:
        yield
    finally:
        for layer, name in replaced:
            # Predictions of other threads may have taken it away.
            vars(layer).pop(name, None)


def is_as_keras_made_it(layer: keras.layers.Layer) -> bool:
    """Whether nobody but `torch_kernels` has put something in a layer's place."""
    name, function, _ = _REPLACED.get(type(layer), (None, None, None))
    for own in ("call", "convolution_op"):
        put = vars(layer).get(own)
        if put is not None and not (
            own == name and getattr(put, "__func__", None) is function
        ):
            return False
    return True


def lay_out_kernels(network: keras.layers.Layer, optimizer: Any = None) -> None:
    """Lays the kernels of convolutions in memory as torch's convolutions read them.

    Shapes and values stay, and so does what is saved.

    Args:
        network: a model or another layer that has layers.
        optimizer: `keras.optimizers.Optimizer` or None: what it keeps of kernels is
            laid out alike, for sums of both are quick where both lie alike.
    """
    variables = [
        variable
        for layer in network._flatten_layers()
        if type(layer) is layers.Conv2D
        for variable in layer.weights
    ]
    if optimizer is not None:
        variables += optimizer.variables
    for variable in variables:
        if len(variable.shape) == 4:
            _lay_out(variable.value)


def _lay_out(kernel: Any) -> None:
    as_read = kernel.detach().permute(_KERNEL)
    if not as_read.is_contiguous(memory_format=torch.channels_last):
        as_read = as_read.contiguous(memory_format=torch.channels_last)
        kernel.data = as_read.permute(_KERNEL_BACK)


def _convolution(layer: Any, inputs: Any, kernel: Any) -> Any:
    """In place of `Conv2D.convolution_op`."""
    kernel = ops.convert_to_tensor(kernel)
    return _convolved(layer, inputs, kernel.permute(_KERNEL))


def _depthwise_convolution(layer: Any, inputs: Any) -> Any:
    """In place of `DepthwiseConv2D.call`."""
    # (height, width, in, multiplier): the filters of a channel stand together.
    kernel = ops.convert_to_tensor(layer.kernel)
    outputs = _convolved(layer, inputs, kernel.flatten(2).permute(2, 0, 1)[:, None])
    if layer.use_bias:
        outputs = outputs + ops.convert_to_tensor(layer.bias)
    return outputs if layer.activation is None else layer.activation(outputs)


def convolved_with_border(
    layer: Any, border: tuple[int, int], inputs: Any
) -> torch.Tensor:
    """What a `Conv2D` gives of images with a border of zeros.

    Args:
        layer: `Conv2D`, channels last, without padding of its own.
        border: its height and width in pixels, on each side.
        inputs: `(B, h, w, C)`, without it.
    """
    kernel = ops.convert_to_tensor(layer.kernel).permute(_KERNEL)
    outputs = _convolved(layer, inputs, kernel, border)
    if layer.use_bias:
        outputs = outputs + ops.convert_to_tensor(layer.bias)
    return outputs if layer.activation is None else layer.activation(outputs)


def _convolved(layer: Any, inputs: Any, kernel: Any, padding: Any = 0) -> Any:
    images, strides = _channels_first(inputs), layer.strides
    # In mixed precision it is of float32.
    kernel = kernel.to(images.dtype)
    if padding == 0 and _gradient_overruns(images, layer):
        # The same, of those pixels alone that are looked at.
        images, strides = images[:, :, :: strides[0], :: strides[1]], (1, 1)
    if layer.padding == "same":
        sizes = zip(
            images.shape[2:],
            layer.kernel_size,
            strides,
            layer.dilation_rate,
            strict=True,
        )
        sides = [_same_padding(*of_axis) for of_axis in sizes]
        padding = tuple(before for before, _ in sides)
        if any(before != after for before, after in sides):
            (top, bottom), (left, right) = sides
            images = functional.pad(images, (left, right, top, bottom))
            padding = 0
    convolved = functional.conv2d(
        images,
        kernel.contiguous(memory_format=torch.channels_last),
        stride=strides,
        padding=padding,
        dilation=layer.dilation_rate,
        groups=images.shape[1] // kernel.shape[1],
    )
    return convolved.permute(_LAST)


def _gradient_overruns(images: torch.Tensor, layer: Any) -> bool:
    """Whether the process ends where torch asks for gradients of a convolution.

    On processors, of windows of one pixel that leave pixels out, on few channels that
    lie last in memory: oneDNN writes where it must not (torch 2.13).
    """
    return (
        images.device.type == "cpu"
        and images.shape[1] < _BLOCK
        and math.prod(layer.kernel_size) == 1
        and math.prod(layer.strides) > 1
    )


def _same_padding(
    size: int, window: int, stride: int, dilation: int = 1
) -> tuple[int, int]:
    """Pixels before and after those of an axis, as TensorFlow's SAME lays them."""
    outputs = -(-size // stride)
    total = max(0, (outputs - 1) * stride + (window - 1) * dilation + 1 - size)
    return total // 2, total - total // 2


def _maximum(layer: Any, inputs: Any) -> Any:
    """In place of `MaxPooling2D.call`."""
    images = _channels_first(inputs)
    window, strides = layer.pool_size, layer.strides
    padding, reaches_beyond = (0, 0), False
    if layer.padding == "same":
        sizes = list(zip(images.shape[2:], window, strides, strict=True))
        sides = [_same_padding(*of_axis) for of_axis in sizes]
        padding = (sides[0][0], sides[1][0])
        # Windows that reach beyond the far side by more than the near one need no
        # copy with a border, where they make as many as there are to be.
        reaches_beyond = all(
            -(-(size + 2 * before - width) // stride) + 1 == -(-size // stride)
            for (size, width, stride), before in zip(sizes, padding, strict=True)
        )
        if not reaches_beyond:
            (top, bottom), (left, right) = sides
            border = (left, right, top, bottom)
            images = functional.pad(images, border, value=float("-inf"))
            padding = (0, 0)
    return functional.max_pool2d(
        images, window, strides, padding, ceil_mode=reaches_beyond
    ).permute(_LAST)


def _normalisation(
    layer: Any, inputs: Any, training: Any = None, mask: Any = None
) -> Any:
    """In place of `BatchNormalization.call`."""
    if mask is not None:
        return type(layer).call(layer, inputs, training, mask)
    return normalised_in_place(layer, inputs, training=training)


def normalised_in_place(
    layer: Any,
    inputs: Any,
    added: Any = None,
    rectify: Callable[[torch.Tensor], torch.Tensor] | None = None,
    training: Any = None,
) -> torch.Tensor:
    """What a `BatchNormalization` gives, and what is done to it in the same memory.

    Args:
        layer: `BatchNormalization` whose `call` is in this module.
        inputs: `(B, h, w, C)` or `(B, F)`.
        added: the same, or None: what is added.
        rectify: what cuts the values after that, in the same memory; or None.
        training: bool or None.
    """
    # Half precision is too coarse for statistics. Torch's kernels take them in float32
    # of images in half of it, which Keras makes larger copies of.
    statistics = torch.promote_types(inputs.dtype, torch.float32)
    images = inputs
    channels_last = images.ndim == 4
    if channels_last:
        images = _channels_first(images)
    scale, offset, moving_mean, moving_variance = (
        None if variable is None else variable.value.to(statistics)
        for variable in (
            layer.gamma if layer.scale else None,
            layer.beta if layer.center else None,
            layer.moving_mean,
            layer.moving_variance,
        )
    )
    if training and layer.trainable:
        normalised, mean, inverse_deviation = torch.native_batch_norm(
            images, scale, offset, None, None, True, 0.0, layer.epsilon
        )
        # Torch's own moving variance would be that of a sample, larger than the
        # batch's by n / (n - 1), and others than on the other backends.
        variance = (inverse_deviation.pow(-2.0) - layer.epsilon).clamp_min(0.0)
        _mix(layer.moving_mean, mean, 1.0 - layer.momentum)
        _mix(layer.moving_variance, variance, 1.0 - layer.momentum)
    else:
        normalised = functional.batch_norm(
            images,
            moving_mean,
            moving_variance,
            scale,
            offset,
            training=False,
            eps=layer.epsilon,
        )
    # No backward pass of a normalisation needs what it gave.
    if added is not None:
        normalised = normalised.add_(added.permute(_FIRST) if channels_last else added)
    if rectify is not None:
        normalised = rectify(normalised)
    if channels_last:
        normalised = normalised.permute(_LAST)
    return ops.cast(normalised, layer.compute_dtype)


@torch.no_grad()
def _mix(variable: Any, value: torch.Tensor, share: float) -> None:
    """Moves a variable by a share of its way to a value, in place."""
    kept = variable.value
    if kept.dtype == value.dtype:
        kept.mul_(1.0 - share).add_(value, alpha=share)
    else:
        # Of half precision: the sum is taken in that of the value.
        variable.assign(kept.to(value.dtype) * (1.0 - share) + value * share)


def _channels_first(images: Any) -> Any:
    return images.permute(_FIRST).contiguous(memory_format=torch.channels_last)


def _is_channels_last(layer: Any) -> bool:
    return layer.data_format == "channels_last"


def _is_plain(layer: Any) -> bool:
    """Whether a batch normalisation is that of the last axis, by its own statistics."""
    if not layer.built or getattr(layer, "renorm", False) or "_moments" in vars(layer):
        return False
    rank = layer.input_spec.ndim
    return rank in (2, 4) and layer.axis in (-1, rank - 1)


# What is put in place of which method, where a layer fits.
_REPLACED: dict[type, tuple[str, Callable[..., Any], Callable[[Any], bool]]] = {
    layers.Conv2D: ("convolution_op", _convolution, _is_channels_last),
    layers.DepthwiseConv2D: ("call", _depthwise_convolution, _is_channels_last),
    layers.MaxPooling2D: ("call", _maximum, _is_channels_last),
    layers.BatchNormalization: ("call", _normalisation, _is_plain),
}
