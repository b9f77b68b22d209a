"""How far something is that takes long, other than a training."""

import time
from collections.abc import Callable

from semppl_keras.callbacks.status_line import StatusLine
from semppl_keras.runs.telling import verbosity

_SECONDS_BETWEEN_UPDATES = 0.2
# What is done by then needs no word.
_SECONDS_BEFORE = 1
# In a file.
_SECONDS_BETWEEN_LINES = 5


class Progress:
    """Shows how many of a number of things are done, where they take long.

    On a terminal it is a line that is written over, in a file one now and then. Called
    with what is done, such as "images to test on", how many are done, and how many
    there are in all, or None where that is not known.

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

    def __call__(self, what: str, done: int, total: int | None) -> None:
        if not verbosity():
            return
        now = self._clock()
        finished = done == total
        if not (self._is_due(now) or (finished and self._told)):
            return
        self._last, self._told = now, not finished
        of_all = "" if total is None else f" of {total:,}"
        text = f"{self._doing} {what}: {done:,}{of_all}"
        if not self._on_terminal:
            self._line.say(text)
            return
        self._line.show(text)
        if finished:
            self._line.end()

    def _is_due(self, now: float) -> bool:
        if self._on_terminal:
            return (
                now - self._begun >= _SECONDS_BEFORE
                and now - self._last >= _SECONDS_BETWEEN_UPDATES
            )
        return now - self._last >= _SECONDS_BETWEEN_LINES
