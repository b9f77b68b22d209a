"""Projector and predictor."""

from collections.abc import Callable
from typing import Any

import keras
from keras import layers


def mlp_head(
    input_dim: int,
    hidden_dim: int,
    output_dim: int,
    seed: int | None = None,
    name: str | None = None,
    *,
    hidden_layers: int = 1,
    dtype: Any = None,
) -> keras.Model:
    """A multilayer perceptron: Dense, BatchNormalization, ReLU, ..., Dense.

    With one hidden layer projector and predictor of BYOL and SemPPL, as in their code
    (`MLP` in `utils/networks.py`); with two the projection head of SimCLRv2 but for its
    output: its code (google-research/simclr, `model_util.py`) normalises after every
    layer, the last too, whose normalisation has no offset. The last Dense has no bias.

    Args:
        input_dim: int, F.
        hidden_dim: int.
        output_dim: int, D.
        seed: int or None, of the initial weights.
        name: str or None.
        hidden_layers: int, at least 1.
        dtype: the dtype policy of the layers, None for the global one.

    Returns:
        A model from `(B, F)` to `(B, D)`.
    """

    def initializer(layer: int) -> Any:
        return keras.initializers.VarianceScaling(
            scale=1.0, seed=None if seed is None else seed + layer
        )

    hidden = []
    for layer in range(hidden_layers):
        ending = f"_{layer + 1}" if layer else ""
        hidden += [
            layers.Dense(
                hidden_dim,
                kernel_initializer=initializer(layer),
                dtype=dtype,
                name=f"hidden{ending}",
            ),
            layers.BatchNormalization(
                momentum=0.9, epsilon=1e-5, dtype=dtype, name=f"norm{ending}"
            ),
            layers.ReLU(dtype=dtype, name=f"relu{ending}"),
        ]
    output = layers.Dense(
        output_dim,
        use_bias=False,
        kernel_initializer=initializer(hidden_layers),
        dtype=dtype,
        name="output",
    )
    return keras.Sequential([layers.Input((input_dim,)), *hidden, output], name=name)


def projector(
    hidden_dim: int, projection_dim: int, hidden_layers: int = 1
) -> Callable[..., list[keras.Model]]:
    """Makes the head of an objective without predictor.

    Args:
        hidden_dim, projection_dim: int.
        hidden_layers: int, of the projector.

    Returns:
        A function of the size of the features, two seeds and a dtype policy, that
        returns a list.
    """

    def make_heads(
        feature_dim: int,
        projector_seed: int | None,
        predictor_seed: int | None,
        dtype: Any = None,
    ) -> list[keras.Model]:
        del predictor_seed
        return [
            mlp_head(
                feature_dim,
                hidden_dim,
                projection_dim,
                projector_seed,
                "projector",
                hidden_layers=hidden_layers,
                dtype=dtype,
            )
        ]

    return make_heads


def projector_and_predictor(
    hidden_dim: int, projection_dim: int
) -> Callable[..., list[keras.Model]]:
    """Makes the heads of an objective that predicts a target's embeddings.

    Args:
        hidden_dim, projection_dim: int.

    Returns:
        A function of the size of the features, two seeds and a dtype policy, that
        returns a list.
    """
    make_projector = projector(hidden_dim, projection_dim)

    def make_heads(
        feature_dim: int,
        projector_seed: int | None,
        predictor_seed: int | None,
        dtype: Any = None,
    ) -> list[keras.Model]:
        return [
            *make_projector(feature_dim, projector_seed, None, dtype),
            mlp_head(
                projection_dim,
                hidden_dim,
                projection_dim,
                predictor_seed,
                "predictor",
                dtype=dtype,
            ),
        ]

    return make_heads
