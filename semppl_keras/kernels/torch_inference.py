"""Prediction on torch, by the kernels and calls of a training step."""

import contextlib
from collections.abc import Iterator

import keras
import torch

from semppl_keras.kernels.torch_layers import lay_out_kernels, torch_kernels
from semppl_keras.kernels.torch_release import outputs_released


@contextlib.contextmanager
def torch_inference(
    network: keras.layers.Layer, *, called: bool = False
) -> Iterator[None]:
    """Within it a network predicts by torch's own kernels.

    It holds what a layer gives until its last use. A model that is given to
    torch.compile is left as it is. Kernels of convolutions are laid in memory as torch
    reads them, and stay so; their values are the same.

    Args:
        network: a model or another layer that has layers. They stay as they are as
            long as this lasts.
        called: whether it is called as it is, and that without gradients. Keras'
            `predict` and `evaluate` leave them out themselves, of their steps and not
            of what callbacks compute.
    """
    if getattr(network, "jit_compile", False):
        yield
        return
    lay_out_kernels(network)
    gradients = torch.no_grad() if called else contextlib.nullcontext()
    with gradients, torch_kernels(network), outputs_released(network):
        yield
