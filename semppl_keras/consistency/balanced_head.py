"""ABC: a second linear layer, trained on classes in balance, which predicts."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from semppl_keras.checks import check_not_negative, check_share
from semppl_keras.consistency.dense_head import dense_head
from semppl_keras.consistency.term import Context, Term
from semppl_keras.losses.classification import cross_entropy


def chances(counts: Any, progress: Any = 1.0) -> Any:
    """How often an image of each class is taken, so that all are taken alike.

        1 - progress (1 - min counts / counts)

    Args:
        counts: `(C,)`, labelled images of each class.
        progress: scalar in [0, 1]: at 0 every image is taken.

    Returns:
        `(C,)` float32 in (0, 1].
    """
    counts = ops.cast(counts, "float32")
    return 1.0 - progress * (1.0 - ops.min(counts) / counts)


@keras.saving.register_keras_serializable(package="semppl_keras")
class BalancedHead(Term):
    """For classes of which some are rare: a linear layer on the same features.

    ABC (Lee et al., NeurIPS 2021, arXiv 2110.10368). Of the labelled images of class y
    a share `N_min / N_y` is drawn in each step; of the unlabelled ones those of which
    the layer is sure, more and more by the same shares as training goes on, towards
    what it says of their weak views. The features learn from it as well, and it is the
    layer that predicts.

    Args:
        class_counts: sequence of C numbers above 0, labelled images of each class.
        threshold: float in [0, 1], from which probability it is sure.
        weight: float, not negative, its share of the loss.

    Raises:
        ValueError: if an argument is out of range.
    """

    predicts = True
    needs_features = True

    def __init__(
        self,
        class_counts: Sequence[float],
        threshold: float = 0.95,
        weight: float = 1.0,
        **kwargs: Any,
    ) -> None:
        check_not_negative(weight=weight)
        check_share(threshold=threshold)
        listed = hasattr(class_counts, "__iter__")
        counts = tuple(map(float, class_counts)) if listed else ()
        if not counts or not all(0 < count < float("inf") for count in counts):
            raise ValueError(
                "`class_counts` must have a number above 0 for each class. Received: "
                f"{class_counts}."
            )
        super().__init__(weight, **kwargs)
        self.class_counts = counts
        self.threshold = threshold

    def build_for(
        self, num_classes: int, features: int = 0, seed: int | None = None
    ) -> None:
        if len(self.class_counts) != num_classes:
            raise ValueError(
                f"`class_counts` must have a number for each of the {num_classes} "
                f"classes. Received: {len(self.class_counts)}."
            )
        self.head = dense_head(features, num_classes, name="balanced_head", seed=seed)
        super().build_for(num_classes, features, seed)

    def call(self, context: Context) -> Any:
        step, features = context.step, context.features
        counts = ops.convert_to_tensor(self.class_counts, "float32")
        count = features["labelled"].shape[0]
        drawn = step.labelled.uniform((count,), seed=step.seed)
        taken = drawn < ops.take(chances(counts), step.labels, axis=0)
        targets = ops.one_hot(step.labels, len(self.class_counts), dtype="float32")
        losses = cross_entropy(targets, self.head(features["labelled"]))
        loss = ops.mean(ops.cast(taken, "float32") * losses)

        said = ops.softmax(self.head(features["weak"]), axis=-1)
        said = ops.stop_gradient(said)
        total = ops.maximum(ops.cast(step.total_steps, "float32"), 1.0)
        progress = ops.minimum(ops.cast(step.step, "float32") / total, 1.0)
        own = ops.take(chances(counts, progress), ops.argmax(said, axis=-1), axis=0)
        drawn = step.unlabelled.uniform((said.shape[0],), seed=step.seed)
        taken = (drawn < own) & (ops.max(said, axis=-1) >= self.threshold)
        strong = features["strong"]
        logits = self.head(ops.reshape(strong, (-1, strong.shape[-1])))
        logits = ops.reshape(logits, (*strong.shape[:2], -1))
        losses = cross_entropy(said[:, None], logits)
        return loss + ops.mean(ops.cast(taken, "float32")[:, None] * losses)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "class_counts": self.class_counts,
            "threshold": self.threshold,
        }
