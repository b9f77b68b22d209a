"""The most probable class is taken for the label."""

from typing import Any

import keras
from keras import ops

from semppl_keras.checks import check_below_one
from semppl_keras.consistency.strategy import Targets


@keras.saving.register_keras_serializable(package="semppl_keras")
class HardLabels(Targets):
    """All of the target on the most probable class: FixMatch's pseudo-labels.

    Args:
        smoothing: float in [0, 1), the share of the target that is spread evenly over
            all classes: 0.1 in Semi-ViT.
    """

    def __init__(self, smoothing: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_below_one(smoothing=smoothing)
        self.smoothing = smoothing

    def call(self, probabilities: Any) -> Any:
        """As `Targets.call`."""
        count = probabilities.shape[-1]
        labels = ops.one_hot(ops.argmax(probabilities, axis=-1), count, dtype="float32")
        return (1.0 - self.smoothing) * labels + self.smoothing / count

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "smoothing": self.smoothing}
