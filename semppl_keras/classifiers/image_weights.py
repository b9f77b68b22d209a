"""How much each unlabelled image counts, by what a teacher says of it."""

from typing import Any

import keras
from keras import ops

from semppl_keras.training.global_batch import GlobalBatch
from semppl_keras.training.weight_average import decay_at

# Of the running shares of the classes: some thousand batches.
_DECAY = 0.999
# A class that is hardly ever predicted would let single images rule the loss.
MOST_WEIGHT = 10.0


class ImageWeights(keras.layers.Layer):
    """Weights of images, as Noisy Student (arXiv 1911.04252) chooses and copies them.

        w_i = [max_y p_i(y) >= min_confidence] / (C s_c),  c = argmax_y p_i(y)

    with s_c the running share of class c among the images that are left, so that all
    classes count alike, where the paper copies the images of rare classes. It is
    counted up with the batch itself, and a weight is at most `MOST_WEIGHT`.

    Args:
        num_classes: int, C.
        min_confidence: float in [0, 1).
        balance: bool; without it s_c is 1 / C.
    """

    def __init__(
        self, num_classes: int, min_confidence: float, balance: bool, **kwargs: Any
    ) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.num_classes = num_classes
        self.min_confidence = min_confidence
        self.balance = balance
        if balance:
            self.shares = self.add_weight(
                shape=(num_classes,),
                initializer=keras.initializers.Constant(1.0 / num_classes),
                trainable=False,
                name="shares",
            )
        self.built = True

    def call(
        self, probabilities: Any, step: Any, batch: GlobalBatch
    ) -> tuple[Any, list[tuple[Any, Any]]]:
        """Weights of the images of a batch.

        Args:
            probabilities: `(B, C)`, the teacher's, at temperature 1.
            step: int32 scalar, steps that were done before.
            batch: `GlobalBatch` of these images.

        Returns:
            `(B,)` float32, and a list of (variable, its value after the step).
        """
        confidence = ops.max(probabilities, axis=-1)
        kept = ops.cast(confidence >= self.min_confidence, "float32")
        if not self.balance:
            return kept, []
        classes = ops.one_hot(ops.argmax(probabilities, axis=-1), self.num_classes)
        found = batch.mean(ops.mean(kept[:, None] * classes, axis=0))
        total = ops.sum(found)
        decay = decay_at(step, _DECAY)
        shares = ops.convert_to_tensor(self.shares)
        moved = decay * shares + (1.0 - decay) * found / ops.maximum(total, 1e-12)
        shares = ops.where(total > 0, moved, shares)
        rare = 1.0 / (self.num_classes * ops.maximum(shares, 1e-12))
        weights = ops.sum(classes * ops.minimum(rare, MOST_WEIGHT), axis=-1)
        return kept * weights, [(self.shares, shares)]
