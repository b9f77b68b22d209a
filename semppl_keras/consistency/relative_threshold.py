"""AdaMatch: a threshold that follows the confidence in labelled images."""

from typing import Any

import keras
from keras import ops

from semppl_keras.checks import check_share
from semppl_keras.consistency.strategy import Step, Weighting


def relative_threshold(labelled_probabilities: Any, share: float) -> Any:
    """`share` of the mean of the largest probabilities.

    Args:
        labelled_probabilities: `(B, C)`.
        share: float in [0, 1].

    Returns:
        float32 scalar.
    """
    return share * ops.mean(ops.max(labelled_probabilities, axis=-1))


@keras.saving.register_keras_serializable(package="semppl_keras")
class RelativeThreshold(Weighting):
    """An image counts if its largest probability is at least a share of that which
    labelled images have on average.

    AdaMatch (Berthelot et al., ICLR 2022, arXiv 2106.04732): the threshold is that
    share of the mean, over the labelled images of this step under their weak views, of
    the largest probability.

    Args:
        share: float in [0, 1]; 0.9 in the paper.

    Raises:
        ValueError: if it is out of range.
    """

    def __init__(self, share: float = 0.9, **kwargs: Any) -> None:
        check_share(share=share)
        super().__init__(**kwargs)
        self.share = share

    def call(self, probabilities: Any, step: Step) -> Any:
        threshold = step.labelled.mean(
            relative_threshold(step.labelled_probabilities, self.share)
        )
        sure = ops.max(ops.cast(probabilities, "float32"), axis=-1) >= threshold
        return ops.stop_gradient(ops.cast(sure, "float32"))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "share": self.share}
