"""Online and target network: images to unit vectors."""

import keras
from keras import ops

from semppl_keras.networks.backbone_contract import pooled


@keras.saving.register_keras_serializable(package="semppl_keras")
class Encoder(keras.layers.Layer):
    """Backbone and heads: images to embeddings on the unit sphere.

    Args:
        backbone: model from images `(B, h, w, C)` to features `(B, F)`, or to
            feature maps, which are averaged over their positions.
        heads: models applied in turn to the features: projector, predictor.
    """

    def __init__(self, backbone, heads, **kwargs):
        super().__init__(**kwargs)
        self.backbone = backbone
        self.heads = list(heads)
        self.built = True

    def features(self, images, training=False):
        """The backbone's representation.

        Args:
            images: `(B, h, w, C)`.
            training: bool.

        Returns:
            `(B, F)`, feature maps averaged over their positions.
        """
        return pooled(self.backbone(images, training=training))

    def call(self, images, training=False):
        """Embeddings `(B, D)`, float32 under every policy, of length 1."""
        embeddings = self.features(images, training=training)
        for head in self.heads:
            embeddings = head(embeddings, training=training)
        embeddings = ops.cast(embeddings, "float32")
        square = ops.sum(ops.square(embeddings), axis=-1, keepdims=True)
        # The bound inside the root keeps the gradient finite at 0 as well.
        return embeddings * ops.rsqrt(ops.maximum(square, 1e-12))

    def embed_views(self, views, training=False):
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

    def get_config(self):
        return {
            **super().get_config(),
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "heads": [keras.saving.serialize_keras_object(h) for h in self.heads],
        }

    @classmethod
    def from_config(cls, config):
        config["backbone"] = keras.saving.deserialize_keras_object(config["backbone"])
        config["heads"] = [
            keras.saving.deserialize_keras_object(head) for head in config["heads"]
        ]
        return cls(**config)


@keras.saving.register_keras_serializable(package="semppl_keras")
class TargetEncoder(Encoder):
    """A copy of an encoder whose weights no gradient and no setting moves.

    Every weight is frozen by itself rather than through `trainable`, which would
    put batch normalisation in inference mode: the target normalises by the
    statistics of its batch, as the online network does, and keeps its own moving
    averages.
    """

    def __init__(self, backbone, heads, **kwargs):
        super().__init__(backbone, heads, **kwargs)
        for weight in self.weights:
            weight.trainable = False

    @classmethod
    def copy_of(cls, encoder, num_heads, name=None):
        """A target that starts equal to an encoder, with its first heads only."""
        # Paths of their own: on torch Keras registers weights by their path, and
        # of two with the same one resets the gradient of one alone.
        with keras.name_scope("target"):
            backbone = copy_model(encoder.backbone)
            heads = [copy_model(head) for head in encoder.heads[:num_heads]]
        return cls(backbone, heads, dtype=encoder.dtype_policy, name=name)

    @property
    def trainable(self):
        return super().trainable

    @trainable.setter
    def trainable(self, value):
        """Stays as it is when `trainable` of the whole model is set."""

    def moving_pairs(self, online):
        """(target weight, online weight) of all that training moves.

        Batch normalisation's moving statistics are the target's own.

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


def copy_model(model):
    """A model of the same configuration and weights, sharing nothing.

    Args:
        model: a built `keras.Model`.

    Returns:
        A `keras.Model` of its class.

    Raises:
        ValueError: if the model cannot be made again from its configuration.
    """
    try:
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
    except (TypeError, NotImplementedError, ValueError) as error:
        raise ValueError(
            "A copy of a network is made from its configuration, and "
            f"{type(model).__name__} '{model.name}' cannot be copied. Give it "
            "`get_config` (and `from_config`), or use a functional model. "
            f"({type(error).__name__}: {error})"
        ) from error
    return copy
