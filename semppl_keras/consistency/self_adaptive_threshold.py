"""FreeMatch: thresholds that rise with the network's confidence, class by class."""

from typing import Any

import keras
from keras import ops

from semppl_keras.checks import check_share
from semppl_keras.consistency.strategy import Step, Weighting


def class_thresholds(confidence: Any, frequencies: Any) -> Any:
    """`tau_c = t p_c / max p`: lower for classes that are predicted less.

    Args:
        confidence: scalar, t, the mean of the largest probabilities.
        frequencies: `(C,)`, p, the mean of the probabilities.

    Returns:
        `(C,)`.
    """
    return confidence * frequencies / ops.max(frequencies)


@keras.saving.register_keras_serializable(package="semppl_keras")
class SelfAdaptiveThreshold(Weighting):
    """An image counts if its largest probability is at least its class's threshold.

    FreeMatch (Wang et al., ICLR 2023, arXiv 2205.07246). Confidence and frequencies are
    moving averages over all unlabelled images, this step's included; both begin at
    1 / C.

    Args:
        momentum: float in [0, 1].

    Raises:
        ValueError: if it is out of range.
    """

    def __init__(self, momentum: float = 0.999, **kwargs: Any) -> None:
        check_share(momentum=momentum)
        super().__init__(**kwargs)
        self.momentum = momentum

    def build_for(self, num_classes: int) -> None:
        self.confidence = self.state("confidence", (), 1.0 / num_classes)
        self.frequencies = self.state("frequencies", (num_classes,), 1.0 / num_classes)
        super().build_for(num_classes)

    def call(self, probabilities: Any, step: Step) -> Any:
        probabilities = ops.stop_gradient(ops.cast(probabilities, "float32"))
        largest = ops.max(probabilities, axis=-1)
        confidence = self._averaged(self.confidence, ops.mean(largest), step)
        frequencies = self._averaged(
            self.frequencies, ops.mean(probabilities, axis=0), step
        )
        thresholds = class_thresholds(confidence, frequencies)
        own = ops.take(thresholds, ops.argmax(probabilities, axis=-1), axis=0)
        return ops.cast(largest >= own, "float32")

    def _averaged(self, variable: Any, latest: Any, step: Step) -> Any:
        latest = step.unlabelled.mean(latest)
        value = self.momentum * variable.value + (1.0 - self.momentum) * latest
        step.write(variable, value)
        return value

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum}
