"""Small heads on features that terms of the loss bring with them."""

import keras
from keras import layers


def dense_head(
    *widths: int, name: str, seed: int | None = None, use_bias: bool = True
) -> keras.Model:
    """Dense layers with ReLU between them, in float32.

    Args:
        *widths: ints, of the input, the hidden layers, and the output.
        name: str.
        seed: int or None, of the initial weights.
        use_bias: bool.

    Returns:
        A model from `(B, widths[0])` to `(B, widths[-1])`.
    """
    stack = [
        layers.Dense(
            width,
            activation="relu" if layer < len(widths) - 2 else None,
            use_bias=use_bias,
            kernel_initializer=keras.initializers.GlorotUniform(
                seed=None if seed is None else seed + layer
            ),
            dtype="float32",
            name=f"{name}_{layer}",
        )
        for layer, width in enumerate(widths[1:])
    ]
    return keras.Sequential([layers.Input(widths[:1]), *stack], name=name)
