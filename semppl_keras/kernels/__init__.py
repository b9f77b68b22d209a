"""How the layers of networks are computed where a backend has a quicker way."""

import contextlib
from collections.abc import Callable

import keras


def _as_it_is(
    network: keras.layers.Layer, *, called: bool = False
) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()


# Of a model or another layer: a context within which it predicts the same as its
# backend does it best. `called` says that it is called as it is, and that without
# gradients, and not by `predict` or `evaluate`.
quick_inference: Callable[..., contextlib.AbstractContextManager[None]]
if keras.backend.backend() == "torch":
    from semppl_keras.kernels.torch_inference import torch_inference

    quick_inference = torch_inference
elif keras.backend.backend() == "jax":
    from semppl_keras.kernels.jax_threads import one_at_a_time

    # It compiles what a network computes.
    quick_inference = one_at_a_time
else:
    # So does this.
    quick_inference = _as_it_is
