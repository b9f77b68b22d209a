"""SuNCEt: tell the images of one's own class from those of the others."""

from typing import Any

import keras
from keras import ops

from semppl_keras.checks import check_positive
from semppl_keras.losses.nt_xent import HIDDEN


def suncet_loss(embeddings: Any, labels: Any, *, temperature: float) -> Any:
    """Supervised noise-contrastive estimation (SuNCEt, arXiv 2006.10803).

    For an anchor z among the labelled embeddings:

        -log(sum over the others of its class of exp(z . other / tau)
             / sum over all others of exp(z . other / tau))

    loss = mean over the anchors that have another of their class; 0 if none has.
    The other views of an image are of its class. Images without a label are neither
    anchors nor others. Gradients reach all embeddings of labelled images. Computed
    in float32 whatever the inputs are.

    Args:
        embeddings: `(V, B, D)` unit vectors, V views of each image; one is enough.
        labels: `(B,)` int, -1 (or less) for an image without a label.
        temperature: float, tau, positive.

    Returns:
        A float32 scalar.

    Raises:
        ValueError: if the shapes do not fit, or the temperature is not positive.

    Example:
        >>> suncet_loss(labelled_views, labels, temperature=0.1)
    """
    _check(embeddings, labels)
    check_positive(temperature=temperature)
    num_views, _, dim = embeddings.shape
    embeddings = ops.reshape(ops.cast(embeddings, "float32"), (-1, dim))
    labels = ops.tile(ops.cast(labels, "int32"), (num_views,))
    labelled = labels >= 0
    index = ops.arange(ops.shape(labels)[0], dtype="int32")

    same_class = labels[:, None] == labels
    is_other = index[:, None] != index
    own = same_class & is_other & labelled
    foreign = ops.logical_not(same_class) & labelled

    similarity = ops.matmul(embeddings, ops.transpose(embeddings)) / temperature
    own_mass = ops.logsumexp(ops.where(own, similarity, HIDDEN), axis=-1)
    foreign_mass = ops.logsumexp(ops.where(foreign, similarity, HIDDEN), axis=-1)
    # -log of the own class' share, accurate where the share is close to 1.
    contrast = ops.softplus(foreign_mass - own_mass)
    counts = ops.any(own, axis=-1)
    total = ops.sum(ops.where(counts, contrast, 0.0))
    return total / ops.maximum(ops.sum(ops.cast(counts, "float32")), 1.0)


@keras.saving.register_keras_serializable(package="semppl_keras")
class SuNCEtLoss(keras.losses.Loss):
    """SuNCEt of a batch and its labels (arXiv 2006.10803), for `compile`.

    See `suncet_loss`, of which this is the case of one view. The loss belongs to the
    batch, in which every image is compared with every other; batches should hold
    several images of a class. `sample_weight` has no meaning for it.

    Args:
        temperature: float, tau, positive.
        reduction: as for any Keras loss; the value is a scalar already.
        name: name of the loss.

    Call arguments:
        y_true: `(B,)` or `(B, 1)` labels, -1 for an image without one.
        y_pred: `(B, D)` unit vectors.

    Raises:
        ValueError: if the shapes do not fit, or the temperature is not positive.

    Example:
        >>> outputs = keras.layers.UnitNormalization()(projector(backbone.output))
        >>> model = keras.Model(backbone.input, outputs)
        >>> model.compile(optimizer="adam", loss=SuNCEtLoss(temperature=0.1))
        >>> model.fit(images, labels)
    """

    def __init__(
        self,
        temperature: float = 0.1,
        reduction: str = "sum_over_batch_size",
        name: str = "suncet",
    ) -> None:
        check_positive(temperature=temperature)
        # Keras casts the labels too, and a half does not tell 2049 from 2048.
        super().__init__(name=name, reduction=reduction, dtype="float32")
        self.temperature = temperature

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of a batch, a float32 scalar."""
        if len(y_true.shape) == 2 and y_true.shape[-1] == 1:
            y_true = y_true[:, 0]
        return suncet_loss(y_pred[None], y_true, temperature=self.temperature)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "temperature": self.temperature}


def _check(embeddings: Any, labels: Any) -> None:
    shapes = {"embeddings": tuple(embeddings.shape), "labels": tuple(labels.shape)}
    if len(shapes["embeddings"]) != 3 or shapes["labels"] != shapes["embeddings"][1:2]:
        raise ValueError(
            "Expected embeddings (V, B, D) and labels (B,). Received: "
            + ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            + "."
        )
