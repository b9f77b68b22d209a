"""Projector and predictor."""

import keras
from keras import layers


def mlp_head(input_dim, hidden_dim, output_dim, seed=None, name=None):
    """A multilayer perceptron: Dense, BatchNormalization, ReLU, Dense.

    Projector and predictor of BYOL, ReLICv2 and SemPPL (arXiv 2301.05158, appendix
    D): the second Dense has no bias.

    Args:
        input_dim: int, F.
        hidden_dim: int.
        output_dim: int, D.
        seed: int or None, of the initial weights.
        name: str or None.

    Returns:
        A model from `(B, F)` to `(B, D)`.
    """

    def initializer(layer):
        return keras.initializers.VarianceScaling(
            scale=1.0, seed=None if seed is None else seed + layer
        )

    return keras.Sequential(
        [
            layers.Input((input_dim,)),
            layers.Dense(hidden_dim, kernel_initializer=initializer(0), name="hidden"),
            layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="norm"),
            layers.ReLU(name="relu"),
            layers.Dense(
                output_dim,
                use_bias=False,
                kernel_initializer=initializer(1),
                name="output",
            ),
        ],
        name=name,
    )
