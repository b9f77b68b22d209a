"""The prediction itself is the target, sharpened if wanted."""

from typing import Any

import keras
from keras import ops

from semppl_keras.checks import check_positive
from semppl_keras.consistency.strategy import Targets
from semppl_keras.losses.classification import log_of, soften


@keras.saving.register_keras_serializable(package="semppl_keras")
class SoftLabels(Targets):
    """Predicted probabilities at a temperature T: `norm(p^(1 / T))`.

    The threshold has seen them before, as they are: UDA (Xie et al., NeurIPS 2020,
    arXiv 1904.12848) takes T = 0.4, below which the cross-entropy is its divergence up
    to a constant; SimMatch T = 1.

    Args:
        temperature: float, T, positive; below 1 the target is sharper than what is
            predicted.
    """

    def __init__(self, temperature: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_positive(temperature=temperature)
        self.temperature = temperature

    def call(self, probabilities: Any) -> Any:
        """As `Targets.call`."""
        if self.temperature == 1:
            return ops.cast(probabilities, "float32")
        return soften(log_of(probabilities), self.temperature)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "temperature": self.temperature}
