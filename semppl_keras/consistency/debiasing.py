"""DebiasPL: pseudo-labels without the classes that are predicted too often."""

from typing import Any

import keras
from keras import ops

from semppl_keras.checks import check_not_negative, check_share
from semppl_keras.consistency.strategy import Alignment, Step
from semppl_keras.losses.classification import log_of


def debiased(probabilities: Any, frequencies: Any, strength: float) -> Any:
    """`softmax(log p - strength log frequencies)`, that is of the logits less the bias.

    Args:
        probabilities: `(U, C)`.
        frequencies: `(C,)`, the mean of what is predicted.
        strength: float.

    Returns:
        `(U, C)`, rows of sum 1.
    """
    return ops.softmax(log_of(probabilities) - strength * log_of(frequencies), axis=-1)


@keras.saving.register_keras_serializable(package="semppl_keras")
class Debiasing(Alignment):
    """Takes from the logits what speaks for a class whatever the image is.

    DebiasPL (Wang et al., CVPR 2022, arXiv 2201.01490). Pseudo-labels are made of
    logits less `strength log q`, and the loss of the strong views' logits plus
    `strength log q`, by which rare classes get a larger margin. q is a moving average
    of the mean prediction before debiasing that begins at 1 / C; both are of q as it
    was before the step.

    Args:
        strength: float, not negative; 0.4 in the paper for CIFAR.
        momentum: float in [0, 1], of q.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(
        self, strength: float = 0.4, momentum: float = 0.999, **kwargs: Any
    ) -> None:
        check_not_negative(strength=strength)
        check_share(momentum=momentum)
        super().__init__(**kwargs)
        self.strength = strength
        self.momentum = momentum

    def build_for(self, num_classes: int) -> None:
        self.frequencies = self.state("frequencies", (num_classes,), 1.0 / num_classes)
        super().build_for(num_classes)

    def call(self, probabilities: Any, step: Step) -> Any:
        probabilities = ops.stop_gradient(ops.cast(probabilities, "float32"))
        frequencies = self.frequencies.value
        latest = step.unlabelled.mean(ops.mean(probabilities, axis=0))
        moved = self.momentum * frequencies + (1.0 - self.momentum) * latest
        step.write(self.frequencies, moved)
        return debiased(probabilities, frequencies, self.strength)

    def margin(self, logits: Any) -> Any:
        bias = log_of(self.frequencies.value)
        return ops.cast(logits, "float32") + self.strength * bias

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "strength": self.strength,
            "momentum": self.momentum,
        }
