"""Prediction on torch, by the kernels and calls of a training step."""

import contextlib
from collections.abc import Iterator

import keras
import torch

from semppl_keras.kernels.torch_layers import lay_out_kernels, torch_kernels
from semppl_keras.kernels.torch_release import outputs_released


@contextlib.contextmanager
def torch_inference(network: keras.layers.Layer) -> Iterator[None]:
    """Within it a network predicts by torch's own kernels, without gradients.

    It holds what a layer gives until its last use. A model that is given to
    torch.compile is left as it is. Kernels of convolutions are laid in memory as torch
    reads them, and stay so; their values are the same.

    Args:
        network: a model or another layer that has layers. They stay as they are as
            long as this lasts.
    """
    if getattr(network, "jit_compile", False):
        yield
        return
    lay_out_kernels(network)
    with torch.no_grad(), torch_kernels(network), outputs_released(network):
        yield
