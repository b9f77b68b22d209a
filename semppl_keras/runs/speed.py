"""How fast a training is, found out on a model that is thrown away."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any

import keras

Clock = Callable[[], float]

# They compile the step, and some backends compile it twice.
_UNTIMED_STEPS = 2
# More than are timed of any training.
_MOST_EPOCHS = 1000


@dataclasses.dataclass(frozen=True)
class Speed:
    """How long the steps of a training take.

    Args:
        first_seconds: Of the first steps, in which they are compiled: so long it will
            take again.
        seconds_per_step: Of each of those that follow.
    """

    first_seconds: float
    seconds_per_step: float


class _Timed(keras.callbacks.Callback):
    """Ends a training that has been timed long enough.

    Not safe to be called beside the next step, so that a step has come to its end when
    its batch has.
    """

    def __init__(self, seconds: float, clock: Clock) -> None:
        super().__init__()
        self._seconds, self._clock = seconds, clock
        self._made = 0
        self._begun = self._from = self._now = clock()

    def on_train_batch_end(
        self, batch: int, logs: Mapping[str, Any] | None = None
    ) -> None:
        self._made += 1
        self._now = self._clock()
        if self._made <= _UNTIMED_STEPS:
            self._from = self._now
        elif self._now - self._from >= self._seconds:
            self.model.stop_training = True

    @property
    def speed(self) -> Speed:
        """What was found."""
        timed = self._made - _UNTIMED_STEPS
        return Speed(self._from - self._begun, (self._now - self._from) / max(1, timed))


def measured_speed(
    model: keras.Model,
    *data: Any,
    seconds: float,
    clock: Clock = time.monotonic,
    **arguments: Any,
) -> Speed:
    """Trains a model for some seconds.

    Args:
        model: Compiled, with the `fit` of semppl_keras. It is of no use afterwards.
        *data: As `fit` takes them.
        seconds: For how long, once its step is compiled; one step is timed at least.
        clock: Function that gives the time in seconds.
        **arguments: As in `fit`, without `epochs`, `callbacks` and `verbose`.

    Returns:
        `Speed`.
    """
    timed = _Timed(seconds, clock)
    model.fit(*data, epochs=_MOST_EPOCHS, callbacks=[timed], verbose=0, **arguments)
    return timed.speed
