"""Whether what was drawn may decide which images are computed."""

from typing import Any

import keras


def are_at_hand(images: Any) -> bool:
    """Whether values can be read at once and for nothing: on torch, on a processor.

    Elsewhere a compiler needs shapes that depend on no value, or a device would have to
    be waited for.

    Args:
        images: a tensor.
    """
    if keras.backend.backend() != "torch" or not keras.ops.is_tensor(images):
        return False
    import torch

    return images.device.type == "cpu" and not torch.compiler.is_compiling()
