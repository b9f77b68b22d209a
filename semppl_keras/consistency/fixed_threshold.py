"""Images count whose prediction is sure enough: FixMatch's mask."""

from typing import Any

import keras
from keras import ops

from semppl_keras.checks import check_share
from semppl_keras.consistency.strategy import Step, Weighting


@keras.saving.register_keras_serializable(package="semppl_keras")
class FixedThreshold(Weighting):
    """1 for an image whose largest probability is at least a threshold, 0 below it.

    FixMatch (Sohn et al., NeurIPS 2020, arXiv 2001.07685) takes 0.95, and 0.7 on
    ImageNet; Semi-ViT 0.6.

    Args:
        threshold: float in [0, 1].
    """

    def __init__(self, threshold: float = 0.95, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_share(threshold=threshold)
        self.threshold = threshold

    def call(self, probabilities: Any, step: Step) -> Any:
        """As `Weighting.call`."""
        del step
        sure = ops.max(probabilities, axis=-1) >= self.threshold
        return ops.cast(sure, "float32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "threshold": self.threshold}
