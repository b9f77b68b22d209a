"""Online and target network: images to unit vectors."""

from typing import Any

import keras
from keras import ops

from semppl_keras.networks.backbone_contract import pooled
from semppl_keras.networks.copying import copy_model
from semppl_keras.networks.saved_parts import part_of
from semppl_keras.networks.trainable_state import copy_trainable_flags


def unit_vectors(embeddings: Any) -> Any:
    """Embeddings `(..., D)` in float32, scaled to length 1."""
    embeddings = ops.cast(embeddings, "float32")
    square = ops.sum(ops.square(embeddings), axis=-1, keepdims=True)
    # The bound inside the root keeps the gradient finite at 0 as well.
    return embeddings * ops.rsqrt(ops.maximum(square, 1e-12))


@keras.saving.register_keras_serializable(package="semppl_keras")
class Encoder(keras.layers.Layer):
    """Backbone and heads: images to embeddings on the unit sphere.

    Args:
        backbone: model from images `(B, h, w, C)` to features `(B, F)`, or to
            feature maps, which are averaged over their positions.
        heads: models applied in turn to the features: projector, predictor.
    """

    def __init__(
        self, backbone: keras.Model, heads: list[keras.Model], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.backbone = backbone
        self.heads = list(heads)
        self.built = True

    def features(self, images: Any, training: bool = False) -> Any:
        """The backbone's representation.

        Args:
            images: `(B, h, w, C)`.
            training: bool. A backbone that is frozen (`trainable = False`) runs as in
                inference all the same, its dropout too.

        Returns:
            `(B, F)`, feature maps averaged over their positions.
        """
        training = bool(training) and self.backbone.trainable
        return pooled(self.backbone(images, training=training))

    def call(self, images: Any, training: bool = False) -> Any:
        """Embeddings `(B, D)`, float32 under every policy, of length 1."""
        embeddings = self.features(images, training=training)
        for head in self.heads:
            embeddings = head(embeddings, training=training)
        return unit_vectors(embeddings)

    def embed_views(self, views: Any, training: bool = False) -> Any:
        """Embeddings of all views of one size.

        They pass the network as one batch, so that batch normalisation takes its
        statistics over all views of that size.

        Args:
            views: `(B, V, h, w, C)`.
            training: bool.

        Returns:
            `(V, B, D)` float32.
        """
        batch, count = views.shape[:2]
        images = ops.reshape(views, (-1, *views.shape[2:]))
        embeddings = self(images, training=training)
        batch = -1 if batch is None else batch
        return ops.swapaxes(ops.reshape(embeddings, (batch, count, -1)), 0, 1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "heads": [keras.saving.serialize_keras_object(h) for h in self.heads],
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Encoder":
        backbone, heads = part_of(config["backbone"]), map(part_of, config["heads"])
        return cls(**{**config, "backbone": backbone, "heads": list(heads)})


@keras.saving.register_keras_serializable(package="semppl_keras")
class TargetEncoder(Encoder):
    """A copy of an encoder whose weights no gradient and no setting moves.

    Every weight is frozen by itself rather than through `trainable`, which would
    put batch normalisation in inference mode: the target normalises by the
    statistics of its batch, as the online network does, and keeps its own moving
    averages.
    """

    def __init__(
        self, backbone: keras.Model, heads: list[keras.Model], **kwargs: Any
    ) -> None:
        super().__init__(backbone, heads, **kwargs)
        for weight in self.weights:
            weight.trainable = False

    @classmethod
    def copy_of(
        cls,
        encoder: "Encoder",
        num_heads: int,
        name: str | None = None,
        image_size: int = 32,
    ) -> "TargetEncoder":
        """A target that starts equal to an encoder, with its first heads only.

        Args:
            encoder: `Encoder`.
            num_heads: int, how many of its heads the target has.
            name: str or None.
            image_size: int, a size of the images that it takes, see `copy_model`.

        Raises:
            ValueError: if a network cannot be copied.
        """
        # Paths of their own: on torch Keras registers weights by their path, and
        # of two with the same one resets the gradient of one alone.
        with keras.name_scope("target"):
            backbone = copy_model(encoder.backbone, image_size)
            heads = [copy_model(head) for head in encoder.heads[:num_heads]]
        return cls(backbone, heads, dtype=encoder.dtype_policy, name=name)

    @property
    def trainable(self) -> bool:
        return super().trainable

    @trainable.setter
    def trainable(self, value: Any) -> None:
        """Stays as it is when `trainable` of the whole model is set."""

    def follow_frozen(self, online: "Encoder") -> None:
        """Lets layers that are frozen in the online network run as frozen here.

        Batch normalisation that is frozen takes its moving statistics in place of the
        batch's. It is read while a step is traced.

        Args:
            online: the encoder of which this is a copy.
        """
        copy_trainable_flags(online.backbone, self.backbone)
        for head, copy in zip(online.heads, self.heads, strict=False):
            copy_trainable_flags(head, copy)

    def check_is_copy(self, online: "Encoder") -> None:
        """Checks that the online network has the weights that it was copied with.

        Args:
            online: the encoder of which this is a copy.

        Raises:
            ValueError: if weights came or went since.
        """
        networks = zip(
            (online.backbone, *online.heads),
            (self.backbone, *self.heads),
            strict=False,
        )
        for network, copy in networks:
            own, copied = (
                [tuple(weight.shape) for weight in each.weights]
                for each in (network, copy)
            )
            if own != copied:
                raise ValueError(
                    f"'{network.name}' must keep the weights with which the model was "
                    "made, since its target network is a copy. Received: "
                    f"{len(own)} of them, {len(copied)} in the copy, or others. Change "
                    "it (enable_lora, quantize, new layers) before the model is made."
                )

    def moving_pairs(self, online: "Encoder") -> list[tuple[Any, Any]]:
        """(target weight, online weight) of all that training moves.

        Frozen weights stay, and batch normalisation's moving statistics are the
        target's own.

        Args:
            online: the encoder of which this is a copy.
        """
        sources = online.backbone.weights
        copies = self.backbone.weights
        for head, copy in zip(online.heads, self.heads, strict=False):
            sources, copies = sources + head.weights, copies + copy.weights
        return [
            (copy, source)
            for copy, source in zip(copies, sources, strict=True)
            if source.trainable
        ]
