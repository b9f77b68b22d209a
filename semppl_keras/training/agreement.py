"""What the processes of one training decide together."""

import time
from typing import Any

import numpy as np

from semppl_keras.training.backends import processes

# Rarely enough that waiting for each other costs nothing that can be measured.
_SECONDS_BETWEEN = 1.0


class Agreement:
    """Has all processes of a training do the same at the same step.

    Clocks differ, and a signal may reach one process alone; a process that stopped or
    wrote by itself would leave the others waiting in the next step for ever. What is
    asked in every step is put to all of them about once a second, at steps that follow
    from what the first process says, and so are the same everywhere. One process alone
    decides at once.

    Args:
        model: what they train.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._several = model.num_processes > 1
        self.is_first = not self._several or processes.index(model) == 0
        self._left, self._stop = 1, False
        self._calls = 0
        self._asked = time.monotonic()

    def at_step(self, stop: bool, due: bool) -> tuple[bool, bool]:
        """As `decide`, before a step: between two questions nothing is decided.

        Args:
            stop, due: as this process has it.
        """
        if not self._several:
            return stop, due
        self._stop |= stop
        self._left -= 1
        self._calls += 1
        if self._left:
            return False, False
        passed = max(time.monotonic() - self._asked, 1e-9)
        steps = max(1, min(int(self._calls * _SECONDS_BETWEEN / passed), 10_000))
        told = self.told_by_each([self._stop, due, steps])
        self._left, self._calls = int(told[0, 2]), 0
        self._asked = time.monotonic()
        return bool(told[:, 0].any()), bool(told[0, 1])

    def decide(self, stop: bool, due: bool) -> tuple[bool, bool]:
        """Whether to stop, which any process may ask for, and whether the first one has
        something due.

        Args:
            stop, due: as this process has it.
        """
        told = self.told_by_each([self._stop or stop, due])
        return bool(told[:, 0].any()), bool(told[0, 1])

    def told_by_each(self, numbers: Any) -> np.ndarray:
        """Integers of each process, `(processes, ...)`; all wait for all."""
        numbers = np.asarray(numbers, "int32")
        return processes.gathered(self._model, numbers)
