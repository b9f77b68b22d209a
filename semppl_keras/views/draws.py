"""Random numbers for views."""

from typing import Any

import keras


def uniform(shape: tuple[Any, ...], seed: Any = None) -> Any:
    """float32 in [0, 1), whatever `keras.config.floatx()` is: views are float32.

    Args:
        shape: tuple of int.
        seed: as for `keras.random.uniform`.
    """
    return keras.random.uniform(shape, dtype="float32", seed=seed)
