"""Training as the commands do it: watched, saved now and then, to be gone on with."""

import hashlib
import json
import pathlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from semppl_keras.callbacks import (
    TrainingCheckpoints,
    TrainingHealth,
    TrainingProgress,
    TrainingState,
    finishing_the_step,
    latest_checkpoint,
)
from semppl_keras.callbacks.defaults import CHECKPOINT_MINUTES
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.safety.json_files import read_json
from semppl_keras.runs.safety.loading import check_folder, load_model
from semppl_keras.runs.schedule import Schedule
from semppl_keras.runs.telling import tell, verbosity
from semppl_keras.runs.whole_files import write_json

# How long after the last checkpoint the end of an epoch writes another.
SECONDS_BETWEEN_CHECKPOINTS = 10
# Of a classifier, whose epochs may be a moment each, to a file.
_SECONDS_BETWEEN_LINES = 10

# In a folder of checkpoints: what the training depends on.
_SETTINGS = "settings.json"


def begun_training(
    folder: pathlib.Path, kind: type[keras.Model] = keras.Model, *, trust: bool = False
) -> tuple[Any, TrainingState]:
    """The model of the newest checkpoint in a folder, and where its training stands.

    Args:
        folder: `pathlib.Path`, which need not be there.
        kind: Class of the model.
        trust: As for `load_model`.

    Returns:
        The model and its `TrainingState`; None and the state before the first step
        where there is no checkpoint.

    Raises:
        RunError: The folder may be somebody else's, and would execute something.
    """
    if folder.is_dir():
        check_folder(folder, trust=trust)
    path = latest_checkpoint(folder)
    if path is None:
        return None, TrainingState()
    model = load_model(path, kind, trust=trust)
    return model, TrainingState.read(path)


def safe_fit(
    model: keras.Model,
    state: TrainingState,
    folder: pathlib.Path,
    *data: Any,
    minutes: float | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    shorten: str = "",
    epoch_seconds: float = 0.0,
    **arguments: Any,
) -> TrainingState:
    """`fit` with checkpoints, that stops where it diverges and on Ctrl-C.

    How far it is, is shown as `verbosity` says.

    Args:
        model: A model with the `fit` of semppl_keras.
        state: `TrainingState` from which it goes on.
        folder: `pathlib.Path` of the checkpoints.
        *data: As `fit` takes them.
        minutes: Between checkpoints within an epoch; None for the default.
        callbacks: Others, called before a checkpoint is written.
        shorten, epoch_seconds: As for `TrainingProgress`.
        **arguments: As in `fit`, without `verbose`.

    Returns:
        The `TrainingState` in the end.

    Raises:
        RunError: The data does not fit, the training diverges, or the end of it
            cannot be saved.
        KeyboardInterrupt: After Ctrl-C, once the step is done and saved.
    """
    with finishing_the_step() as stop_requested:
        checkpoints = TrainingCheckpoints(
            folder,
            state,
            minutes=CHECKPOINT_MINUTES if minutes is None else minutes,
            least_seconds=SECONDS_BETWEEN_CHECKPOINTS,
            stop_requested=stop_requested,
            tell=_warn,
        )
        health = TrainingHealth(checkpoints=checkpoints, warn=_warn)
        progress = TrainingProgress(
            verbosity(), shorten=shorten, epoch_seconds=epoch_seconds
        )
        model.fit(
            *data,
            initial_epoch=state.epoch,
            initial_batch=state.batch,
            callbacks=[*callbacks, progress, health, checkpoints],
            verbose=0,
            **arguments,
        )
    return checkpoints.state


def resumable_fit(
    make_model: Callable[[], Any],
    folder: pathlib.Path | None,
    settings: Mapping[str, Any],
    *data: Any,
    epochs: int,
    shorten: str = "",
    trust: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    **arguments: Any,
) -> Any:
    """`safe_fit` of a model that is made, or of one that was begun with in the folder.

    Args:
        make_model: Function that gives a compiled model.
        folder: `pathlib.Path` of the checkpoints; the caller removes it in the end.
            None for a training without checkpoints.
        settings: Dict of all that the training depends on beside the data, as JSON has
            it. One that was begun with others, or on other data, is begun anew.
        *data: Arrays, as `fit` takes them.
        epochs, shorten, callbacks, **arguments: As in `safe_fit`.
        trust: As for `begun_training`.

    Returns:
        The model.
    """
    if folder is None:
        model = make_model()
        progress = TrainingProgress(
            verbosity(), shorten=shorten, epoch_seconds=_SECONDS_BETWEEN_LINES
        )
        model.fit(
            *data,
            epochs=epochs,
            callbacks=[*callbacks, progress],
            verbose=0,
            **arguments,
        )
        return model
    model, state = None, TrainingState()
    settings = _dependences(settings, data)
    noted = folder / _SETTINGS
    if _noted(noted) == settings:
        model, state = begun_training(folder, trust=trust)
    elif folder.exists():
        shutil.rmtree(folder)
    if model is None:
        model = make_model()
    else:
        tell_where(state)
    write_json(noted, settings)
    if state.epoch < epochs:
        safe_fit(
            model,
            state,
            folder,
            *data,
            epochs=epochs,
            callbacks=callbacks,
            shorten=shorten,
            epoch_seconds=_SECONDS_BETWEEN_LINES,
            **arguments,
        )
    return model


def begun_schedule(
    folder: pathlib.Path | None, settings: Mapping[str, Any], *data: Any
) -> Schedule | None:
    """The length that was found for a training when it was begun.

    Args:
        folder, settings, *data: As for `resumable_fit`, but for the length.

    Returns:
        `Schedule`, or None where no training of these settings and data was begun.
    """
    noted = None if folder is None else _noted(folder / _SETTINGS)
    if noted is None:
        return None
    epochs, steps = (noted.pop(name, None) for name in ("epochs", "steps_per_epoch"))
    counts = all(type(count) is int and count > 0 for count in (epochs, steps))
    if not counts or noted != _dependences(settings, data):
        return None
    return Schedule(epochs, steps)


def _dependences(settings: Mapping[str, Any], data: Sequence[Any]) -> dict[str, Any]:
    """All that a training depends on, as JSON has it."""
    depends_on = {
        **settings,
        "backend": keras.backend.backend(),
        "data": _digest(keras.tree.flatten(data)),
    }
    return json.loads(json.dumps(depends_on))


def _digest(arrays: Sequence[np.ndarray]) -> str:
    """A text that differs where one of the arrays is another."""
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(f"{array.shape} {array.dtype} ".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _noted(path: pathlib.Path) -> Any:
    """The settings that a training was begun with; None where there are none, or they
    are damaged."""
    if not path.exists():
        return None
    try:
        return read_json(path)
    except RunError:
        return None


def tell_where(state: TrainingState) -> None:
    """Prints where a training goes on.

    Args:
        state: `TrainingState`.
    """
    within = f"step {state.batch} of " if state.batch else ""
    epoch = state.epoch + bool(state.batch)
    tell(f"Going on after {within}epoch {epoch}.")


def _warn(text: str) -> None:
    tell(f"\nWarning: {text}", error=True)
