"""FixMatch's learning-rate schedule, which ends above zero."""

import math
from typing import Any

import keras
from keras import ops

from semppl_keras.checks import check_integers, check_positive


@keras.saving.register_keras_serializable(package="semppl_keras")
class QuarterCosine(keras.optimizers.schedules.LearningRateSchedule):
    """`peak cos(7 pi k / 16 K)`, at the end 0.195 of what it is in the beginning.

    With k the step and K `total_steps`, after which it stays (Sohn et al., NeurIPS
    2020, arXiv 2001.07685). Unlike half a cosine, which ends at 0, it leaves the
    averaged weights something to average.

    Args:
        peak: float, positive.
        total_steps: int, at least 1.
    """

    def __init__(self, peak: float, total_steps: int) -> None:
        check_positive(peak=peak)
        check_integers(1, total_steps=total_steps)
        self.peak = float(peak)
        self.total_steps = int(total_steps)

    def __call__(self, step: Any) -> Any:
        """The learning rate at a step, a float32 scalar."""
        done = ops.cast(step, "float32") / self.total_steps
        return self.peak * ops.cos(7.0 / 16.0 * math.pi * ops.minimum(done, 1.0))

    def get_config(self) -> dict[str, Any]:
        return {"peak": self.peak, "total_steps": self.total_steps}
