"""How long a training is: in epochs of so many steps."""

import dataclasses
import math
from typing import Self


@dataclasses.dataclass(frozen=True)
class Schedule:
    """The length of a training.

    Args:
        epochs: At least 0.
        steps_per_epoch: How many steps an epoch has; None where it is a pass over the
            images.
    """

    epochs: int
    steps_per_epoch: int | None = None

    @classmethod
    def of_steps(cls, steps: int, most_in_epoch: int) -> Self:
        """As few epochs as there can be, all of one length.

        Args:
            steps: At least 1; what is left over where they are shared out, less than
                one for each epoch, is left out.
            most_in_epoch: At least 1, steps of an epoch, such as those of a pass.

        Example:
            >>> Schedule.of_steps(1800, 938)
            Schedule(epochs=2, steps_per_epoch=900)
        """
        epochs = math.ceil(steps / most_in_epoch)
        return cls(epochs, steps // epochs)

    def steps_in_epoch(self, steps_in_pass: int) -> int:
        """Steps of an epoch of images that a pass over takes so many."""
        return steps_in_pass if self.steps_per_epoch is None else self.steps_per_epoch

    def steps_in_all(self, steps_in_pass: int) -> int:
        """Steps of all epochs."""
        return self.epochs * self.steps_in_epoch(steps_in_pass)

    def to_dict(self) -> dict[str, int]:
        """What is written down: `epochs`, and `steps_per_epoch` where it is no pass."""
        noted = {"epochs": self.epochs}
        if self.steps_per_epoch is not None:
            noted["steps_per_epoch"] = self.steps_per_epoch
        return noted
