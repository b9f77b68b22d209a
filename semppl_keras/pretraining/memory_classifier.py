"""The votes of a memory as a classifier of its own."""

from typing import Any

import keras
import numpy as np
from keras import ops

from semppl_keras.kernels import quick_inference
from semppl_keras.memory.votes import vote_shares
from semppl_keras.networks import ImageEmbedder
from semppl_keras.networks.image_classifier import ImageClassifier
from semppl_keras.pretraining.semppl import SemPPL

# A share of no vote at all is no probability of 0, of which there is no logarithm.
_LEAST_SHARE = 1e-12

_ROWS_AT_ONCE = 4096


def memory_classifier(model: SemPPL, class_names: Any = None) -> ImageClassifier:
    """What `model.predict` gives, as a classifier that is served without the model.

    Args:
        model: a trained `SemPPL`. The classifier has its network and not a copy; what
            is in the memory now stays in it.
        class_names: a string for each class, or None.

    Returns:
        An `ImageClassifier`, whose probabilities are the shares of the votes. Its head
        has no gradient.
    """
    network = getattr(model, model.predict_with)
    memory = model.memory
    votes = MemoryVotes(
        model.memory_size,
        model.num_classes,
        num_views=model.views.num_large,
        dim=model.projection_dim,
        neighbours=model.neighbours,
        dtype="float32",
        name="votes",
    )
    layers = [keras.layers.Input((model.feature_dim,)), *network.heads, votes]
    head = keras.Sequential(layers, name="head")
    # Copies: on JAX the arrays that a model predicts with are given away.
    votes.embeddings.assign(ops.copy(memory.embeddings))
    votes.labels.assign(ops.copy(memory.labels))
    return ImageClassifier(
        network.backbone,
        head,
        model.views,
        class_names=class_names,
        name="classifier",
    )


def memory_embeddings(
    model: SemPPL,
    images: np.ndarray,
    callbacks: Any = None,
    *,
    network: str | None = None,
) -> np.ndarray:
    """What of images is compared with the memory.

    Args:
        model: a `SemPPL`.
        images: `(N, H, W, C)`.
        callbacks: as in `keras.Model.predict`.
        network: "target", which makes what the memory holds, or "online"; None for
            that which is compared with it.

    Returns:
        `(N, D)` float32, of any length.
    """
    encoder = getattr(model, network or model.predict_with)
    embedder = ImageEmbedder(encoder.backbone, model.views)
    features = embedder.predict(images, verbose=0, callbacks=callbacks)
    parts = []
    with quick_inference(encoder, called=True):
        # Without `predict`, which would trace a small function anew.
        for start in range(0, len(features), _ROWS_AT_ONCE):
            embeddings = features[start : start + _ROWS_AT_ONCE]
            for head in encoder.heads:
                embeddings = head(embeddings, training=False)
            parts.append(ops.convert_to_numpy(ops.cast(embeddings, "float32")))
    return np.concatenate(parts)


@keras.saving.register_keras_serializable(package="semppl_keras")
class MemoryVotes(keras.layers.Layer):
    """Embeddings to the logarithms of the shares of votes that classes get.

    Args:
        capacity: int, C, entries of the memory.
        num_classes: int.
        num_views: int, L, under which each entry is remembered.
        dim: int, D, of the embeddings.
        neighbours: int, from 1 to C, entries that vote.
    """

    def __init__(
        self,
        capacity: int,
        num_classes: int,
        *,
        num_views: int,
        dim: int,
        neighbours: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.capacity = capacity
        self.num_classes = num_classes
        self.num_views = num_views
        self.dim = dim
        self.neighbours = neighbours
        self.embeddings = self.add_weight(
            shape=(num_views, capacity, dim),
            initializer="zeros",
            dtype="float32",
            trainable=False,
            name="embeddings",
        )
        self.labels = self.add_weight(
            shape=(capacity,),
            initializer=keras.initializers.Constant(-1),
            dtype="int32",
            trainable=False,
            name="labels",
        )
        self.built = True

    def call(self, embeddings: Any) -> Any:
        """`(B, D)` of any length to `(B, num_classes)`."""
        embeddings = ops.cast(embeddings, "float32")
        shares = vote_shares(
            ops.normalize(embeddings, axis=-1, epsilon=1e-6)[None],
            self.embeddings.value,
            self.labels.value,
            self.neighbours,
            self.num_classes,
        )
        return ops.log(ops.maximum(shares, _LEAST_SHARE))

    def compute_output_shape(self, input_shape: Any) -> tuple[Any, ...]:
        return (input_shape[0], self.num_classes)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "capacity": self.capacity,
            "num_classes": self.num_classes,
            "num_views": self.num_views,
            "dim": self.dim,
            "neighbours": self.neighbours,
        }
