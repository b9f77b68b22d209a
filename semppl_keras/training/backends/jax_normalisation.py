"""Batch normalisation on JAX in as few passes over the images as it takes.

Keras takes the variance from the mean, and so goes over the images twice before it
normalises them; the gradients of its formula go over them several times more, in
float32. On a GPU these passes, which wait for memory, cost more than the convolutions.
"""

import contextlib
import functools
from collections.abc import Callable
from typing import Any

import jax
import keras
from jax import numpy as jnp

from semppl_keras.training.backends.normalisation_calls import normalising_by


def lean_normalisation(
    model: keras.Model,
) -> contextlib.AbstractContextManager[None]:
    """Steps that are traced within normalise in one pass for statistics, one to apply.

    Backwards there is one pass for sums and one to apply, too. The numbers are Keras'
    up to rounding. For the trace and not for good: the layers are the user's. Layers of
    Keras' own class alone, whose computation is known.

    Args:
        model: whose layers are meant, those of its networks too.
    """
    return normalising_by(model, _lean_call, _is_plain)


def _is_plain(layer: Any) -> bool:
    """Whether it normalises the last axis by the batch's own statistics."""
    if not layer.built or getattr(layer, "renorm", False):
        return False
    return layer.axis in (-1, layer.input_spec.ndim - 1)


def _lean_call(layer: Any, call: Callable[..., Any]) -> Callable[..., Any]:
    """The layer's `call`, in training in few passes."""

    def lean(inputs: Any, training: Any = None, mask: Any = None) -> Any:
        floats = jnp.issubdtype(inputs.dtype, jnp.floating)
        if mask is not None or not (training and layer.trainable and floats):
            return call(inputs, training=training, mask=mask)
        dtype = jnp.promote_types(inputs.dtype, jnp.float32)
        channels = inputs.shape[-1]
        outputs, mean, variance = _normalised(
            inputs,
            layer.gamma.value.astype(dtype) if layer.scale else jnp.ones(channels),
            layer.beta.value.astype(dtype) if layer.center else jnp.zeros(channels),
            layer.epsilon,
        )
        for variable, value in (
            (layer.moving_mean, mean),
            (layer.moving_variance, variance),
        ):
            kept, new = variable.value.astype(dtype), jax.lax.stop_gradient(value)
            variable.assign(kept * layer.momentum + new * (1.0 - layer.momentum))
        return outputs.astype(layer.compute_dtype)

    return lean


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def _normalised(
    inputs: Any, scale: Any, offset: Any, epsilon: float
) -> tuple[Any, Any, Any]:
    """Inputs normalised over all axes but the last.

    Args:
        inputs: `(B, ..., C)`, of any floating type; statistics are of `scale`'s.
        scale, offset: `(C,)`.
        epsilon: float, added to the variance.

    Returns:
        Outputs `(B, ..., C)` of the inputs' type, and mean and variance `(C,)`, through
        which no gradient flows.
    """
    outputs, mean, variance, _ = _forward(inputs, scale, offset, epsilon)
    return outputs, mean, variance


def _forward(inputs: Any, scale: Any, offset: Any, epsilon: float) -> Any:
    axes = tuple(range(inputs.ndim - 1))
    # About where the mean lies, by the middle of each image. The variance comes from
    # the squares of what lies around it: those of a mean far from 0 would drown it.
    middle = tuple(size // 2 for size in inputs.shape[1:-1])
    near = jnp.mean(inputs[(slice(None), *middle)].astype(scale.dtype), axis=0)
    around = inputs.astype(scale.dtype) - near
    mean = jnp.mean(around, axes)
    variance = jnp.maximum(jnp.mean(jnp.square(around), axes) - jnp.square(mean), 0.0)
    inverse = jax.lax.rsqrt(variance + epsilon)
    outputs = (around - mean) * (inverse * scale) + offset
    return outputs.astype(inputs.dtype), mean + near, variance, inverse


def _forward_and_kept(inputs: Any, scale: Any, offset: Any, epsilon: float) -> Any:
    outputs, mean, variance, inverse = _forward(inputs, scale, offset, epsilon)
    # The inputs as they came: half as large in half precision.
    return (outputs, mean, variance), (inputs, scale, mean, inverse)


def _backward(epsilon: float, kept: Any, cotangents: Any) -> Any:
    inputs, scale, mean, inverse = kept
    gradient = cotangents[0].astype(scale.dtype)
    normalised = (inputs.astype(scale.dtype) - mean) * inverse
    axes = tuple(range(inputs.ndim - 1))
    of_offset = jnp.sum(gradient, axes)
    of_scale = jnp.sum(gradient * normalised, axes)
    count = inputs.size // inputs.shape[-1]
    of_inputs = (scale * inverse) * (
        gradient - of_offset / count - normalised * (of_scale / count)
    )
    return of_inputs.astype(inputs.dtype), of_scale, of_offset


_normalised.defvjp(_forward_and_kept, _backward)
