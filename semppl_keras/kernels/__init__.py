"""How the layers of networks are computed where a backend has a quicker way."""

import contextlib
from collections.abc import Callable
from typing import Any

import keras

# Of a model or another layer: a context within which it computes the same, without
# gradients, as its backend does it best.
quick_inference: Callable[[Any], contextlib.AbstractContextManager[None]]
if keras.backend.backend() == "torch":
    from semppl_keras.kernels.torch_inference import torch_inference

    quick_inference = torch_inference
else:
    # These compile what a network computes.
    quick_inference = contextlib.nullcontext
