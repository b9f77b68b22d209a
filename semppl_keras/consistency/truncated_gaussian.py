"""SoftMatch: a weight that falls like a Gaussian below the usual confidence."""

from typing import Any

import keras
from keras import ops

from semppl_keras.checks import check_positive, check_share
from semppl_keras.consistency.strategy import Step, Weighting


def truncated_gaussian(confidence: Any, mean: Any, variance: Any, width: float) -> Any:
    """`exp(-width^2 min(confidence - mean, 0)^2 / (2 variance))`.

    Args:
        confidence: `(U,)`, the largest probabilities.
        mean, variance: scalars, theirs on average.
        width: float: the Gaussian's standard deviation is `sqrt(variance) / width`.

    Returns:
        `(U,)` in (0, 1], 1 above the mean.
    """
    below = ops.minimum(confidence - mean, 0.0)
    # Alike as all images may be, the quotient stays a number.
    variance = ops.maximum(variance, 1e-12)
    return ops.exp(-(width**2) * ops.square(below) / (2.0 * variance))


@keras.saving.register_keras_serializable(package="semppl_keras")
class TruncatedGaussian(Weighting):
    """Weighs an image by how far its largest probability is below the usual one.

    SoftMatch (Chen et al., ICLR 2023, arXiv 2301.10921). Mean and variance of the
    largest probabilities are moving averages over all unlabelled images, this step's
    included, that begin at 1 / C and 1; the variance of a batch is the unbiased one.

    SoftMatch computes the weights, and not the targets, of probabilities that are
    aligned with the uniform distribution:
    `alignment=DistributionAlignment(changes_targets=False)`.

    Args:
        width: float, positive: the Gaussian is so many times narrower than the largest
            probabilities are spread.
        momentum: float in [0, 1], of both averages.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(
        self, width: float = 2.0, momentum: float = 0.999, **kwargs: Any
    ) -> None:
        check_positive(width=width)
        check_share(momentum=momentum)
        super().__init__(**kwargs)
        self.width = width
        self.momentum = momentum

    def build_for(self, num_classes: int) -> None:
        self.mean = self.state("mean", (), 1.0 / num_classes)
        self.variance = self.state("variance", (), 1.0)
        super().build_for(num_classes)

    def call(self, probabilities: Any, step: Step) -> Any:
        confidence = ops.max(ops.cast(probabilities, "float32"), axis=-1)
        confidence = ops.stop_gradient(confidence)
        every = step.unlabelled.gather(confidence)
        count = every.shape[0]
        unbiased = ops.var(every) * (count / max(count - 1, 1))
        mean = self._averaged(self.mean, ops.mean(every), step)
        variance = self._averaged(self.variance, unbiased, step)
        return truncated_gaussian(confidence, mean, variance, self.width)

    def _averaged(self, variable: Any, latest: Any, step: Step) -> Any:
        value = self.momentum * variable.value + (1.0 - self.momentum) * latest
        step.write(variable, value)
        return value

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "width": self.width,
            "momentum": self.momentum,
        }
