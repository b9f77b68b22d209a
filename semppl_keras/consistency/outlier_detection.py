"""IOMatch: unlabelled images that belong to none of the classes."""

from typing import Any

import keras
from keras import ops

from semppl_keras.checks import check_integers, check_not_negative, check_share
from semppl_keras.consistency.dense_head import dense_head
from semppl_keras.consistency.open_set import one_against_rest, open_targets
from semppl_keras.consistency.term import Context, Term
from semppl_keras.losses.classification import cross_entropy
from semppl_keras.networks.image_classifier import ImageClassifier


@keras.saving.register_keras_serializable(package="semppl_keras")
class OutlierDetection(Term):
    """Finds images that are none of the classes, and leaves them out.

    IOMatch (Li et al., ICCV 2023, arXiv 2308.13168). On a projection of the features a
    classifier of two outputs for each class tells its images from all others, see
    `one_against_rest`, and one of C + 1 classes learns from both what is none of them,
    see `open_targets`. Unlabelled images that are rather none do not count.
    `open_classifier` tells of any image whether it is none of them.

    Args:
        weight: float, not negative, its share of the loss.
        projection_dim: int, at least 1.
        threshold: float in [0, 1]: images whose largest open target is at least this
            teach the open classifier.
        warm_up: float in [0, 1], the share of the training in which none does; an
            epoch of 256 in the authors' code.

    Raises:
        ValueError: if an argument is out of range.
    """

    needs_features = True

    def __init__(
        self,
        weight: float = 1.0,
        projection_dim: int = 128,
        threshold: float = 0.5,
        warm_up: float = 1 / 256,
        **kwargs: Any,
    ) -> None:
        check_not_negative(weight=weight)
        check_integers(1, projection_dim=projection_dim)
        check_share(threshold=threshold, warm_up=warm_up)
        super().__init__(weight, **kwargs)
        self.projection_dim = projection_dim
        self.threshold = threshold
        self.warm_up = warm_up

    def build_for(
        self, num_classes: int, features: int = 0, seed: int | None = None
    ) -> None:
        width = self.projection_dim
        self.projection = dense_head(
            features, features, width, name="projection", seed=seed
        )
        self.pairs = dense_head(
            width, 2 * num_classes, name="pairs", seed=seed, use_bias=False
        )
        self.open_head = dense_head(width, num_classes + 1, name="open", seed=seed)
        super().build_for(num_classes, features, seed)

    def log_pairs(self, features: Any) -> Any:
        """`(B, 2, C)` of features `(B, F)`, see `one_against_rest`."""
        logits = self.pairs(self.projection(features))
        return ops.log_softmax(ops.reshape(logits, (-1, 2, logits.shape[-1] // 2)), 1)

    def open_classifier(self, classifier: ImageClassifier) -> ImageClassifier:
        """A classifier of C + 1 classes, of which the last is none of the others.

        Args:
            classifier: the trainer's `online`, whose backbone it shares.
        """
        layers = [*self.projection.layers, *self.open_head.layers]
        head = keras.Sequential(
            [keras.layers.Input(self.projection.input_shape[1:]), *layers], name="head"
        )
        names = classifier.class_names
        return ImageClassifier(
            classifier.backbone,
            head,
            classifier.views,
            class_names=None if names is None else (*names, "none of them"),
            name="open_classifier",
        )

    def reweighted(self, weights: Any, context: Context) -> Any:
        targets = self._open_targets(context)
        return weights * ops.cast(targets[:, -1] < 0.5, "float32")

    def call(self, context: Context) -> Any:
        step = context.step
        loss = one_against_rest(
            self.log_pairs(context.features["labelled"]), step.labels
        )
        targets = self._open_targets(context)
        length = self.warm_up * ops.cast(step.total_steps, "float32")
        counts = ops.max(targets, axis=-1) >= self.threshold
        counts = counts & (ops.cast(step.step, "float32") >= length)
        strong = context.features["strong"]
        logits = self.open_head(
            self.projection(ops.reshape(strong, (-1, strong.shape[-1])))
        )
        logits = ops.reshape(logits, (*strong.shape[:2], -1))
        losses = cross_entropy(targets[:, None], logits)
        return loss + ops.mean(ops.cast(counts, "float32")[:, None] * losses)

    def _open_targets(self, context: Context) -> Any:
        pairs = ops.exp(self.log_pairs(context.features["weak"]))
        return ops.stop_gradient(open_targets(context.aligned, pairs))

    def get_config(self) -> dict[str, Any]:
        names = ("projection_dim", "threshold", "warm_up")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
