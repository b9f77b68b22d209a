"""FixMatch's learning rate: a part of a cosine, which does not end at 0."""

import math
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="semppl_keras")
class PartialCosine(keras.optimizers.schedules.LearningRateSchedule):
    """`peak cos(part pi step / total_steps)`, what it has come to from there on.

    With part 7/16 the schedule of FixMatch (arXiv 2001.07685), which ends at a fifth of
    the peak.

    Args:
        peak: float, positive.
        total_steps: int, at least 1.
        part: float in (0, 0.5].

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(self, peak: float, total_steps: int, part: float = 7 / 16) -> None:
        super().__init__()
        if not peak > 0 or total_steps < 1 or not 0 < part <= 0.5:
            raise ValueError(
                "`peak` must be above 0, `total_steps` at least 1, and `part` above 0 "
                f"and at most 0.5. Received: peak={peak}, total_steps={total_steps}, "
                f"part={part}."
            )
        self.peak = float(peak)
        self.total_steps = int(total_steps)
        self.part = float(part)

    def __call__(self, step: Any) -> Any:
        """The learning rate `()` float32 of a step."""
        done = ops.cast(step, "float32") / self.total_steps
        return self.peak * ops.cos(self.part * math.pi * ops.minimum(done, 1.0))

    def get_config(self) -> dict[str, Any]:
        return {
            "peak": self.peak,
            "total_steps": self.total_steps,
            "part": self.part,
        }
