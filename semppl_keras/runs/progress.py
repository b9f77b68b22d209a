"""How far something is that takes long, other than a training."""

import time
from collections.abc import Callable

from semppl_keras.callbacks.status_line import StatusLine
from semppl_keras.callbacks.training_progress import spoken_duration
from semppl_keras.runs.telling import verbosity

_SECONDS_BETWEEN_UPDATES = 0.2
# What is done by then needs no word.
_SECONDS_BEFORE = 1
# In a file.
_SECONDS_BETWEEN_LINES = 5
# Of one thing, long enough for a guess of the time left.
_TIMED_SECONDS = 5


class Progress:
    """Shows how many of a number of things are done, where they take long.

    On a terminal it is a line that is written over, in a file one now and then. Called
    with what is done, such as "images to test on", how many are done, and how many
    there are in all, or None where that is not known. Where it is known, it says how
    long the rest will take, once that can be told.

    Args:
        doing: The words before, such as "Reading".
        clock: Function that gives the time in seconds.

    Example:
        >>> progress = Progress("Measuring,")
        >>> cross_validated_predictions(features, labels, progress=progress)
    """

    def __init__(
        self, doing: str = "Reading", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._doing = doing
        self._clock = clock
        self._line = StatusLine()
        self._on_terminal = self._line.on_terminal
        self._begun = self._last = clock()
        self._told = False
        # What is being done, how much of it was done when it was first told, and when.
        self._timed: tuple[str, int, float] | None = None

    def __call__(self, what: str, done: int, total: int | None) -> None:
        if not verbosity():
            return
        now = self._clock()
        if self._timed is None or self._timed[0] != what or done < self._timed[1]:
            self._timed = what, done, now
        finished = done == total
        if not (self._is_due(now) or (finished and self._told)):
            return
        self._last, self._told = now, not finished
        of_all = "" if total is None else f" of {total:,}"
        text = f"{self._doing} {what}: {done:,}{of_all}{self._left(done, total, now)}"
        if not self._on_terminal:
            self._line.say(text)
            return
        self._line.show(text)
        if finished:
            self._line.end()

    def _left(self, done: int, total: int | None, now: float) -> str:
        if self._timed is None or total is None:
            return ""
        _, first, begun = self._timed
        if not first < done < total or now - begun < _TIMED_SECONDS:
            return ""
        seconds = (total - done) * (now - begun) / (done - first)
        return f", {spoken_duration(seconds)} left"

    def _is_due(self, now: float) -> bool:
        if self._on_terminal:
            return (
                now - self._begun >= _SECONDS_BEFORE
                and now - self._last >= _SECONDS_BETWEEN_UPDATES
            )
        return now - self._last >= _SECONDS_BETWEEN_LINES
