"""Checkpoints from which a training goes on as if nothing had interrupted it."""

import dataclasses
import json
import math
import os
import pathlib
import re
import time
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from semppl_keras.callbacks.defaults import CHECKPOINT_MINUTES, never, warned_of
from semppl_keras.callbacks.training_health import check_weights
from semppl_keras.checks import check_integers, check_positive
from semppl_keras.training.agreement import Agreement
from semppl_keras.training.backends import processes

# An entry of our own in the model's archive, which Keras does not look at: the weights
# and what belongs to them become visible together or not at all.
_STATE_ENTRY = "semppl_training_state.json"
# More than a training of 10,000 epochs writes.
_MOST_STATE_BYTES = 2**24

_NAME = re.compile(r"checkpoint_(\d+)\.keras")
# Keras wants the name of a model to end in .keras.
_PARTIAL = "partial.keras"


@dataclasses.dataclass(frozen=True)
class TrainingState:
    """Where a training stands, beside what is in the model.

    Args:
        step: int, steps of the model.
        epoch: int, the epoch to go on in, from 0.
        batch: int, batches of it that are done.
        metrics: list of the values of the model's metrics after these batches.
        history: dict of what `History` held, a list with a value for each epoch.
        seconds: float, how long it has taken.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    metrics: list = dataclasses.field(default_factory=list)
    history: dict = dataclasses.field(default_factory=dict)
    seconds: float = 0.0

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "TrainingState":
        """The state in a checkpoint.

        Args:
            path: of a file that `TrainingCheckpoints` has written.

        Raises:
            ValueError: if it is none.
        """
        try:
            with zipfile.ZipFile(path) as archive:
                size = archive.getinfo(_STATE_ENTRY).file_size
                if size > _MOST_STATE_BYTES:
                    raise ValueError(f"its {_STATE_ENTRY} has {size:,} bytes")
                state = cls(**json.loads(archive.read(_STATE_ENTRY)))
            state._check()
            return state
        # Deep nesting and encrypted data are the last.
        except (
            KeyError,
            TypeError,
            ValueError,
            zipfile.BadZipFile,
            zlib.error,
            RuntimeError,
        ) as error:
            raise ValueError(
                f"`path` must be a checkpoint of `TrainingCheckpoints`. Received: "
                f"{str(path)!r} ({error})."
            ) from error

    def _check(self) -> None:
        """Raises a ValueError unless a training can be where it says."""
        for name in ("step", "epoch", "batch"):
            value = getattr(self, name)
            if type(value) is not int or not 0 <= value < 2**62:
                raise ValueError(f"{name} {value!r:.40} is no count")
        if not (_is_number(self.seconds) and 0 <= self.seconds < math.inf):
            raise ValueError(f"seconds {self.seconds!r:.40} is no duration")
        if not isinstance(self.metrics, list):
            raise ValueError("metrics are no list")
        if not isinstance(self.history, dict):
            raise ValueError("history is no object")
        for name, values in self.history.items():
            if not (isinstance(values, list) and all(map(_is_number, values))):
                raise ValueError(f"the history of {name!r:.40} is no list of numbers")


def _is_number(value: Any) -> bool:
    return type(value) is float or (type(value) is int and abs(value) < 2**62)


def latest_checkpoint(folder: str | os.PathLike[str]) -> pathlib.Path | None:
    """The newest checkpoint of a folder that is whole.

    Args:
        folder: path.

    Returns:
        `pathlib.Path`, or None where there is no checkpoint.
    """
    for _, path in reversed(_checkpoints(pathlib.Path(folder))):
        if _is_whole(path):
            return path
    return None


class TrainingCheckpoints(keras.callbacks.Callback):
    """Writes checkpoints during `fit`, within epochs too.

    A checkpoint is a Keras model with its optimiser, memory, target and random state,
    and the `TrainingState`. A `fit` that goes on from one does what an uninterrupted
    one would have done, bit for bit where the backend is deterministic and the images
    are arrays, or a dataset whose passes are all alike.

    Each is written under another name first: what is called a checkpoint is whole,
    whenever the process is killed. What cannot be written, on a full disk, is told; the
    training goes on, and the last one that was written stays.

    Where several processes share the model each has this callback, with the same
    folder; the first one writes, the others wait, and all go on from what it wrote.

    Args:
        folder: path, made where it is missing.
        state: `TrainingState` of the checkpoint that `fit` goes on from, or None.
        minutes: positive float, after which there is another one within an epoch.
        least_seconds: float, how long after the last one the end of an epoch writes
            another; the last epoch always does.
        keep: int, the newest ones, which stay.
        stop_requested: function that tells whether to stop after this step, such as
            `finishing_the_step` gives: then a checkpoint is written, and
            KeyboardInterrupt raised.
        tell: function of a text, called with what cannot be written; None for a
            warning.

    Raises:
        ValueError: an argument is out of range; from `fit` if the folder holds a newer
            checkpoint than that of `state`, or `state` differs between processes.
        OSError: from `fit` if the last checkpoint cannot be written.

    Example:
        >>> saving = TrainingCheckpoints("run")
        >>> model.fit(images, labelled, epochs=9, callbacks=[saving])
        >>> # After a crash:
        >>> path = latest_checkpoint("run")
        >>> model, state = keras.models.load_model(path), TrainingState.read(path)
        >>> saving = TrainingCheckpoints("run", state)
        >>> model.fit(images, labelled, epochs=9, initial_epoch=state.epoch,
        ...           initial_batch=state.batch, callbacks=[saving])
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        state: TrainingState | None = None,
        *,
        minutes: float = CHECKPOINT_MINUTES,
        least_seconds: float = 10.0,
        keep: int = 2,
        stop_requested: Callable[[], bool] | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__()
        check_positive(minutes=minutes)
        check_integers(1, keep=keep)
        self.folder = pathlib.Path(folder)
        self.last: pathlib.Path | None = None
        self._state = state or TrainingState()
        self._seconds_between = 60 * minutes
        self._least_seconds = least_seconds
        self._keep = keep
        self._stop_requested = stop_requested or never
        self._tell = tell or warned_of
        self._epoch = 0

    @property
    def state(self) -> TrainingState:
        """`TrainingState` as of the last checkpoint or epoch."""
        return self._state

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._together = Agreement(self.model)
        newest = -1
        if self._together.is_first:
            self.folder.mkdir(parents=True, exist_ok=True)
            path = latest_checkpoint(self.folder)
            newest = -1 if path is None else _step_of(path)
        told = self._together.told_by_each([self._state.step, newest])
        self._check_state(told[:, 0], int(told[0, 1]))
        if self._together.is_first:
            self._clear_up()
        self._begun = self._written = time.monotonic()
        self._seconds_before = self._state.seconds
        self._restored = False

    def _check_state(self, steps: np.ndarray, newest: int) -> None:
        """Raises a ValueError in all processes if one of them cannot go on."""
        self.last = None if newest < 0 else self.folder / _name_of(newest)
        if np.any(steps != steps[0]):
            raise ValueError(
                "`state` must be the same in every process. Received: those of the "
                f"steps {steps.tolist()}. Have all of them read one checkpoint, in a "
                "folder that all see."
            )
        if self.last is not None and newest != self._state.step:
            raise ValueError(
                "`state` must be that of the newest checkpoint in the folder. "
                f"Received: step {self._state.step:,}, where {str(self.last)!r} is the "
                "newest. Go on from that one, or choose another folder."
            )

    def _clear_up(self) -> None:
        # What a process that was killed has left behind, or a broken disk.
        (self.folder / _PARTIAL).unlink(missing_ok=True)
        for step, path in _checkpoints(self.folder):
            if step > self._state.step:
                self._tell(f"{path} is damaged and removed.")
                path.unlink()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch
        if not self._restored and self._state.metrics:
            # Keras has just reset them.
            for variable, value in zip(
                self.model.metrics_variables, self._state.metrics, strict=True
            ):
                variable.assign(np.asarray(value))
        self._restored = True

    # Not at the end of a batch, which may be called beside the next step.
    def on_train_batch_begin(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        stop, due = self._together.at_step(
            stop=self._stop_requested(),
            due=time.monotonic() - self._written >= self._seconds_between,
        )
        if (stop or due) and not self._is_written():
            self._write(self._epoch, batch, final=stop)
        if stop:
            raise KeyboardInterrupt

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        history = {name: list(values) for name, values in self._state.history.items()}
        for name, value in (logs or {}).items():
            history.setdefault(name, []).append(float(value))
        self._state = dataclasses.replace(self._state, history=history)
        last = epoch + 1 == self.params["epochs"]
        stop, passed = self._together.decide(
            stop=self._stop_requested(),
            due=time.monotonic() - self._written >= self._least_seconds,
        )
        if last or stop or passed:
            self._write(epoch + 1, 0, final=last or stop)
        if stop:
            raise KeyboardInterrupt

    def _is_written(self) -> bool:
        return self.last is not None and _step_of(self.last) == self._step()

    def _step(self) -> int:
        return int(ops.convert_to_numpy(self.model.step))

    def _write(self, epoch: int, batch: int, *, final: bool) -> None:
        model = self.model
        check_weights(model, self.last)
        metrics = []
        if batch:
            metrics = [
                ops.convert_to_numpy(variable).tolist()
                for variable in model.metrics_variables
            ]
        now = time.monotonic()
        self._state = dataclasses.replace(
            self._state,
            step=self._step(),
            epoch=epoch,
            batch=batch,
            metrics=metrics,
            seconds=self._seconds_before + now - self._begun,
        )
        path = self.folder / _name_of(self._state.step)
        error = processes.in_the_first(model, lambda: self._saved(path))
        failed = self._together.told_by_each([error is not None])[0]
        # Not again at every step.
        self._written = time.monotonic()
        if failed:
            self._cannot_write(error, final)
            return
        self.last = path
        if self._together.is_first:
            self._prune(self._keep)

    def _saved(self, path: pathlib.Path) -> OSError | None:
        """None, or the error with which the checkpoint cannot be written."""
        try:
            self._save(path)
        except OSError as error:
            if not self._make_room():
                return error
            try:
                self._save(path)
            except OSError as error:
                return error
        return None

    def _save(self, path: pathlib.Path) -> None:
        partial = self.folder / _PARTIAL
        try:
            self.model.save(partial)
            with zipfile.ZipFile(partial, "a") as archive:
                archive.writestr(
                    _STATE_ENTRY, json.dumps(dataclasses.asdict(self._state))
                )
            _sync(partial)
            os.replace(partial, path)
            if os.name == "posix":
                _sync(self.folder)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise

    def _make_room(self) -> bool:
        """Removes all but the newest checkpoint; whether there was one to remove."""
        removed = len(_checkpoints(self.folder)) > 1
        self._prune(1)
        return removed

    def _prune(self, keep: int) -> None:
        for _, path in _checkpoints(self.folder)[:-keep]:
            path.unlink(missing_ok=True)

    def _cannot_write(self, error: OSError | None, final: bool) -> None:
        kept = "there is none yet" if self.last is None else f"the last is {self.last}"
        reason = "the first process tells why"
        if error is not None:
            reason = error.strerror or str(error)
        message = (
            f"The checkpoint of step {self._state.step:,} cannot be written to "
            f"{str(self.folder)!r} ({reason}); {kept}. Make room."
        )
        if final:
            raise OSError(message) from error
        if self._together.is_first:
            self._tell(f"{message} Training goes on.")


def _checkpoints(folder: pathlib.Path) -> list[tuple[int, pathlib.Path]]:
    """(step, path) of those in a folder, the oldest first."""
    if not folder.is_dir():
        return []
    return sorted(
        (int(match[1]), path)
        for path in folder.iterdir()
        if (match := _NAME.fullmatch(path.name))
    )


def _is_whole(path: pathlib.Path) -> bool:
    """Whether a file is a checkpoint of which nothing is missing."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None and _STATE_ENTRY in archive.namelist()
    # Of damaged or encrypted data.
    except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error):
        return False


def _name_of(step: int) -> str:
    return f"checkpoint_{step:09d}.keras"


def _step_of(path: pathlib.Path) -> int:
    return int(path.stem.removeprefix("checkpoint_"))


def _sync(path: pathlib.Path) -> None:
    """Has the system write a file or a folder to the disk now."""
    # Some systems sync no file that is open to be read alone, others open no folder in
    # another way.
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
