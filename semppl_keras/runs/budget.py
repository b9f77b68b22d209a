"""The wall time that a command may take, and how long a training fits it."""

import time
from collections.abc import Callable
from typing import Any

import keras

from semppl_keras.callbacks.training_progress import spoken_duration
from semppl_keras.recipes.defaults import LEAST_STEPS
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.schedule import Schedule
from semppl_keras.runs.speed import Clock, Speed, measured_speed
from semppl_keras.runs.telling import tell

# Of the time for steps, what checkpoints take, and steps that are slower than the
# first ones.
_KEPT_SHARE = 0.05
# For so long the first steps are timed: a share of the budget, up to some seconds.
_TIMED_SHARE, _TIMED_SECONDS = 0.02, 10.0
# Of few images a pass is too short to count as an epoch, which takes a moment itself.
LEAST_STEPS_IN_EPOCH = 50


class TooShort(RunError):
    """The minutes leave no time for a training that is of any use.

    Args:
        message: What is told.
        minutes: As many as would.
    """

    def __init__(self, message: str, minutes: float) -> None:
        super().__init__(message)
        self.minutes = minutes


class Budget:
    """What is left of the minutes that a command may take.

    Args:
        minutes: Positive, from when this is made.
        measuring_share: In [0, 1), of the minutes, what is kept for measuring in the
            end.
        spent: Seconds of them that are gone already.
        clock: Function that gives the time in seconds.
    """

    def __init__(
        self,
        minutes: float,
        measuring_share: float,
        *,
        spent: float = 0.0,
        clock: Clock = time.monotonic,
    ) -> None:
        self.minutes = minutes
        self.clock = clock
        self._measuring_share = measuring_share
        self._begun = clock() - spent

    def with_measuring_share(self, share: float) -> "Budget":
        """The same minutes, of which another share is kept for measuring."""
        minutes = self.minutes
        return Budget(minutes, share, spent=self.spent, clock=self.clock)

    @property
    def timed_seconds(self) -> float:
        """For how long the first steps of a training are to be timed."""
        return min(_TIMED_SECONDS, _TIMED_SHARE * 60 * self.minutes)

    @property
    def spent(self) -> float:
        """Seconds that are gone."""
        return self.clock() - self._begun

    @property
    def kept(self) -> float:
        """Seconds that are kept for measuring."""
        return self._measuring_share * 60 * self.minutes

    def seconds_to_train(self, share: float = 1.0) -> float:
        """Seconds that are left for training, now.

        Args:
            share: In (0, 1], of what is left beside measuring.
        """
        return share * (60 * self.minutes - self.kept - self.spent)

    def least_minutes(self, seconds: float, share: float = 1.0) -> float:
        """Minutes of which so many seconds would have been left for training."""
        needed = self.spent + seconds / share
        return needed / 60 / (1 - self._measuring_share)

    def fitted(
        self,
        doing: str,
        make_model: Callable[[], keras.Model],
        *data: Any,
        steps_in_pass: int,
        share: float = 1.0,
        least_steps: int | None = None,
        most: Schedule | None = None,
        **arguments: Any,
    ) -> Schedule:
        """The longest schedule of a training that fits, by the speed of its first
        steps.

        Args:
            doing: What is trained, in words such as "SemPPL".
            make_model: Function that gives the model, compiled; it is called for one
                that is thrown away.
            *data: As its `fit` takes them.
            steps_in_pass: Of a pass over the images.
            share: As for `seconds_to_train`.
            least_steps: Of which a training is of any use; None for
                `recipes.defaults.LEAST_STEPS`.
            most: That of a training which gains nothing by being longer, or None.
            **arguments: As in `fit`.

        Raises:
            TooShort: Not as many steps fit.
        """
        least_steps = LEAST_STEPS if least_steps is None else least_steps
        tell(f"Timing the first steps of {doing} ...")
        most_in_epoch = max(steps_in_pass, LEAST_STEPS_IN_EPOCH)
        speed = measured_speed(
            make_model(),
            *data,
            seconds=self.timed_seconds,
            clock=self.clock,
            steps_per_epoch=most_in_epoch,
            **arguments,
        )
        left = self.seconds_to_train(share)
        steps = steps_that_fit(left, speed)
        if steps < least_steps:
            needed = seconds_of(least_steps, speed)
            minutes = rounded_up(self.least_minutes(needed, share))
            raise TooShort(
                f"--minutes must leave time for at least {least_steps} steps of "
                f"{doing}, which take {spoken_duration(needed)}. Received: --minutes "
                f"{self.minutes:g}, of which {spoken_duration(max(0.0, left))} are "
                "left beside reading and measuring. Give at least --minutes "
                f"{minutes:g}.",
                minutes,
            )
        schedule = Schedule.of_steps(steps, most_in_epoch)
        if most is not None and steps >= most.steps_in_all(steps_in_pass):
            schedule = Schedule(most.epochs, most.steps_in_epoch(steps_in_pass))
        made = schedule.steps_in_all(steps_in_pass)
        tell(
            f"A step takes {round(1000 * speed.seconds_per_step, 1):,g} ms, the first "
            f"ones {spoken_duration(speed.first_seconds)}: {made:,} steps fit "
            f"--minutes {self.minutes:g}, {made / steps_in_pass:.2g} passes over the "
            f"images, as {schedule.epochs:,} epoch(s) of {schedule.steps_per_epoch:,} "
            "steps."
        )
        return schedule


def steps_that_fit(seconds: float, speed: Speed) -> int:
    """How many steps a training makes in a time.

    Args:
        seconds: For all of it, of which a share is kept for what is no step.
        speed: `Speed`.

    Returns:
        At least 0.
    """
    for_steps = (1 - _KEPT_SHARE) * (seconds - speed.first_seconds)
    return max(0, int(for_steps / max(speed.seconds_per_step, 1e-9)))


def seconds_of(steps: int, speed: Speed) -> float:
    """The least time in which so many steps fit."""
    return speed.first_seconds + steps * speed.seconds_per_step / (1 - _KEPT_SHARE)


def rounded_up(minutes: float) -> float:
    """To the next tenth, or the next minute from ten on: it is a guess."""
    step = 0.1 if minutes < 10 else 1.0
    # One more, for what is slower the next time.
    return round((int(minutes / step) + 2) * step, 1)
