"""Batch normalisation over the images of all processes, on torch."""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import keras
import torch
from keras import ops

from semppl_keras.training.backends import torch_replicas


@contextlib.contextmanager
def global_normalisation(model: keras.Model) -> Iterator[None]:
    """Statistics of all replicas' images in what the layers of `model` do within.

    For the step and not for good: the layers are the user's, and Keras' `synchronized`
    is refused on torch.
    """
    layers = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    for layer in layers:
        vars(layer)["_moments"] = functools.partial(_moments, layer)
    try:
        yield
    finally:
        for layer in layers:
            vars(layer).pop("_moments", None)


def _moments(layer: Any, inputs: Any, mask: Any) -> tuple[Any, Any]:
    """Mean and variance, by Keras' formula on torch, with gradients to all images."""
    if mask is not None:
        raise ValueError(
            "Batch normalisation over several processes takes all of its inputs. "
            f"Received: a mask in the layer {layer.name!r}. Train in one process."
        )
    axes = layer._reduction_axes
    own = ops.stack([ops.mean(inputs, axes), ops.mean(ops.square(inputs), axes)])
    # Shares of a batch are of one size: the mean of means is that of all.
    mean, mean_of_squares = torch_replicas.total(own) / torch_replicas.count()
    return mean, mean_of_squares - ops.square(mean)


def check_normalisation(model: keras.Model) -> None:
    """Refuses layers of torch's own whose statistics are of one process alone."""
    for layer in model._flatten_layers():
        if not isinstance(layer, keras.layers.TorchModuleWrapper):
            continue
        for module in layer.module.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm) and not (
                isinstance(module, torch.nn.SyncBatchNorm)
            ):
                raise ValueError(
                    "Batch normalisation must be over the images of all processes. "
                    f"Received: a torch.nn.{type(module).__name__} in the layer "
                    f"{layer.name!r}. Convert it: torch.nn.SyncBatchNorm."
                    "convert_sync_batchnorm."
                )
