"""How far a training is: one line, with what a person follows."""

import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import keras

from semppl_keras.callbacks.status_line import StatusLine
from semppl_keras.checks import check_positive

_SECONDS_BETWEEN_UPDATES = 0.2
# In a file, while an epoch lasts.
_SECONDS_BETWEEN_LINES = 60.0
# They compile the step, and some backends compile it twice.
_UNTIMED_CALLS = 2
# Long enough for a guess that is right within some tenths.
_TIMED_SECONDS = 10.0
_BAR = 10


class TrainingProgress(keras.callbacks.Callback):
    """Shows how far `fit` is, in the place of Keras' bar.

    On a terminal it is one line for the whole training, as long as the terminal is
    wide at most: the epoch, the loss, the accuracy of the pseudo-labels (or their mean
    confidence, where the true labels are not known), the time left until the last
    epoch, and how full the memory is while it fills. Everything else is in the logs
    (`History`, `ScalarLogs`). To a file or a pipe the same goes as a line at the end of
    an epoch, and every minute within a long one.

    It asks the device for nothing: it shows the logs that Keras hands over anyway.

    Args:
        verbose: int. 0 shows nothing; 2 also writes all logs at the end of an epoch.
        epoch_seconds: float, for how long after a line to a file the end of an epoch
            writes no other.
        long_minutes: positive float. The length of a training of more minutes is said
            once, as soon as its first steps have shown how long they take.
        shorten: str, what to do for a shorter one, said with it; a sentence.
        clock: function that gives the time in seconds.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> progress = TrainingProgress(shorten="Fewer epochs take less.")
        >>> model.fit(images, labelled, epochs=50, callbacks=[progress], verbose=0)
    """

    # The end of a batch only looks at its logs: Keras may call it beside the next step
    # instead of waiting for them.
    async_safe = True

    def __init__(
        self,
        verbose: int = 1,
        *,
        epoch_seconds: float = 0.0,
        long_minutes: float = 10.0,
        shorten: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        if verbose not in (0, 1, 2):
            raise ValueError(
                f"`verbose` must be 0, 1 or 2. Received: verbose={verbose!r}."
            )
        check_positive(long_minutes=long_minutes)
        self.verbose = verbose
        self._epoch_seconds = epoch_seconds
        self._long_seconds = 60 * long_minutes
        self._shorten = shorten
        self._clock = clock
        self._lock = threading.Lock()

    # A copy, as tuners make of callbacks, has a lock of its own, and no terminal until
    # a training begins.
    def __getstate__(self) -> dict[str, Any]:
        left_out = ("_lock", "_line")
        return {name: self.__dict__[name] for name in self.__dict__.keys() - left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        self._line = StatusLine()
        self._on_terminal = self._line.on_terminal
        self._epochs = self.params["epochs"]
        self._steps: int | None = self.params.get("steps")
        self._initial_batch = self.params.get("initial_batch", 0)
        self._begins_anew = False
        self._logs: Mapping[str, Any] = {}
        self._calls = self._made = 0
        # Steps made and the time, at which measuring began.
        self._timed_from: tuple[int, float] | None = None
        self._length_is_known = False
        self._updated = -math.inf
        self._written = self._clock()

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._epoch = epoch
        self._batch, self._initial_batch = self._initial_batch, 0
        if self._made == 0:
            self._begins_anew = epoch == 0 and self._batch == 0

    def on_train_batch_end(
        self, batch: int, logs: Mapping[str, Any] | None = None
    ) -> None:
        with self._lock:
            # It may come after a later one.
            if batch < self._batch:
                return
            self._made += batch + 1 - self._batch
            self._batch = batch + 1
            self._logs = logs or {}
            self._calls += 1
            now = self._clock()
            if self._calls == _UNTIMED_CALLS:
                self._timed_from = (self._made, now)
            self._tell_length(now)
            if self._on_terminal:
                if now - self._updated >= _SECONDS_BETWEEN_UPDATES:
                    self._show(now)
            elif now - self._written >= _SECONDS_BETWEEN_LINES:
                of_steps = f" of {self._steps:,}" if self._steps else ""
                self._write(f", step {self._batch:,}{of_steps}", self._logs, now)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        with self._lock:
            if self._steps is None:
                self._steps = self._batch
            self._logs = logs or {}
            now = self._clock()
            if self._on_terminal:
                if self.verbose == 2:
                    self._write("", self._logs, now)
                self._show(now)
            elif now - self._written >= self._epoch_seconds:
                self._write("", self._logs, now)

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        self._line.end()

    def _seconds_left(self, now: float) -> float | None:
        """Of the whole training, or None while that is not known."""
        if self._timed_from is None or self._steps is None:
            return None
        made, begun = self._timed_from
        if self._made == made:
            return None
        left = (self._epochs - self._epoch) * self._steps - self._batch
        return left * (now - begun) / (self._made - made)

    def _tell_length(self, now: float) -> None:
        if self._length_is_known or self._timed_from is None:
            return
        left = self._seconds_left(now)
        if left is None or now - self._timed_from[1] < _TIMED_SECONDS:
            return
        self._length_is_known = True
        if self.verbose and left > self._long_seconds:
            what = "This training" if self._begins_anew else "What is left of it"
            text = f"{what} will take about {spoken_duration(left)}."
            self._line.say(f"{text} {self._shorten}".rstrip())
            self._updated = -math.inf

    def _show(self, now: float) -> None:
        if not self.verbose:
            return
        self._updated = now
        done = self._epoch + (self._batch / self._steps if self._steps else 0)
        bar = "#" * int(_BAR * done / self._epochs)
        text = f"Epoch {self._epoch + 1}/{self._epochs} [{bar:-<{_BAR}}]"
        figures = figures_of(self._logs, self._seconds_left(now))
        self._line.show(within(text, figures, self._line.width))

    def _write(self, where: str, logs: Mapping[str, Any], now: float) -> None:
        if not self.verbose:
            return
        self._written = now
        if self.verbose == 2:
            figures = [f"{name} {value:.4g}" for name, value in logs.items()]
        else:
            figures = figures_of(logs, self._seconds_left(now))
        text = f"Epoch {self._epoch + 1}/{self._epochs}{where}"
        self._line.say(": ".join([text, ", ".join(figures)]) if figures else text)


def figures_of(logs: Mapping[str, Any], seconds_left: float | None) -> list[str]:
    """What a person follows, the most important first.

    Args:
        logs: dict of numbers, as Keras hands them over.
        seconds_left: float, or None where it is not known or nothing is left.

    Returns:
        list of str.

    Example:
        >>> figures_of({"loss": 3.2141, "memory_fill": 0.5}, 754.0)
        ['loss 3.214', '13 min left', 'memory 50% full']
    """
    figures = []
    if "loss" in logs:
        figures.append(f"loss {logs['loss']:#.4g}")
    for name, what, how in (
        ("pseudo_label_accuracy", "pseudo-labels", " right"),
        ("pseudo_label_confidence", "pseudo-labels", " sure"),
        ("teacher_agreement", "as the teacher", ""),
        ("accuracy", "accuracy", ""),
    ):
        if math.isfinite(logs.get(name, math.nan)):
            figures.append(f"{what} {logs[name]:.1%}{how}")
            break
    if seconds_left:
        figures.append(f"{spoken_duration(seconds_left)} left")
    if logs.get("memory_fill", 1.0) < 1.0:
        figures.append(f"memory {math.floor(100 * logs['memory_fill'])}% full")
    if logs.get("propagation_seconds", 0.0) >= 1:
        figures.append(f"graph {spoken_duration(logs['propagation_seconds'])}")
    return figures


def within(text: str, figures: list[str], width: int) -> str:
    """A text with as many of the figures as a line has room for.

    Args:
        text: str.
        figures: list of str, the most important first.
        width: int, characters of the line.

    Returns:
        str of at most `width` characters.

    Example:
        >>> within("Epoch 1/9", ["loss 3.2", "5 min left"], 20)
        'Epoch 1/9 loss 3.2'
    """
    for number in range(len(figures), 0, -1):
        line = f"{text} {', '.join(figures[:number])}"
        if len(line) <= width:
            return line
    return text[:width]


def spoken_duration(seconds: float) -> str:
    """A length of time as a person says it, of two units at most.

    Example:
        >>> [spoken_duration(seconds) for seconds in (8, 200, 1500, 7790, 200_000)]
        ['8 s', '3 min 20 s', '25 min', '2 h 10 min', '2 d 8 h']
    """
    if seconds < 59.5:
        return f"{max(1, round(seconds))} s"
    if seconds < 595:
        # Seconds in tens: it is a guess.
        minutes, tens = divmod(round(seconds / 10), 6)
        return f"{minutes} min" + (f" {10 * tens} s" if tens else "")
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h" + (f" {minutes} min" if minutes else "")
    days, hours = divmod(hours + round(minutes / 60), 24)
    return f"{days} d" + (f" {hours} h" if hours else "")
