"""AdaMatch: a threshold that follows the confidence in labelled images."""

import math
from typing import Any

import keras
from keras import ops

from semppl_keras.checks import check_share
from semppl_keras.consistency.strategy import Step, Weighting


def cosine_warm_up(step: Any, total_steps: Any, share: float) -> Any:
    """`1/2 - 1/2 cos(pi min(1, step / (share total_steps)))`: from 0 to 1.

    Args:
        step, total_steps: int32 scalars; without a length, 0, there is no warm-up.
        share: float in [0, 1], of the training.

    Returns:
        float32 scalar.
    """
    length = share * ops.cast(total_steps, "float32")
    done = ops.cast(step, "float32") / ops.maximum(length, 1e-6)
    weight = 0.5 - 0.5 * ops.cos(math.pi * ops.minimum(done, 1.0))
    return ops.where(length > 0, weight, 1.0)


@keras.saving.register_keras_serializable(package="semppl_keras")
class RelativeThreshold(Weighting):
    """An image counts if its largest probability is at least a share of that which
    labelled images have on average.

    AdaMatch (Berthelot et al., ICLR 2022, arXiv 2106.04732): the threshold is that
    share of the mean, over the labelled images of this step under their weak views, of
    the largest probability. The weights rise from 0 to 1 along half a cosine.

    Args:
        share: float in [0, 1]; 0.9 in the paper.
        warm_up: float in [0, 1], the share of the training in which the weights rise;
            0.5 in the paper. Where the length of the training is not known, there is
            none.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(self, share: float = 0.9, warm_up: float = 0.0, **kwargs: Any) -> None:
        check_share(share=share, warm_up=warm_up)
        super().__init__(**kwargs)
        self.share = share
        self.warm_up = warm_up

    def call(self, probabilities: Any, step: Step) -> Any:
        largest = ops.max(ops.cast(probabilities, "float32"), axis=-1)
        confidence = ops.mean(ops.max(step.labelled_probabilities, axis=-1))
        threshold = self.share * step.labelled.mean(confidence)
        weights = ops.cast(largest >= threshold, "float32")
        rise = cosine_warm_up(step.step, step.total_steps, self.warm_up)
        return ops.stop_gradient(rise * weights)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "share": self.share,
            "warm_up": self.warm_up,
        }
