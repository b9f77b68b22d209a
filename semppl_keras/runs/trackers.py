"""Programs that follow a training, beside what the run folder has of it.

Each is imported only where it is asked for, and called through its own functions: its
callback for Keras asks for TensorFlow (wandb), or takes the optimiser's settings of a
second stage for a change that it refuses (mlflow). Tried with wandb 0.31, mlflow 3.17
and tensorboard 2.21.
"""

import contextlib
import functools
import importlib
import pathlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from semppl_keras.runs.errors import RunError
from semppl_keras.runs.final_figures import Figure
from semppl_keras.runs.options.checks import TRACKERS
from semppl_keras.runs.telling import tell
from semppl_keras.runs.tensorboard_tracker import followed_by_tensorboard
from semppl_keras.runs.tracker import Kept, Place, Tracker, told_by
from semppl_keras.runs.tracker_calls import (
    INTERRUPTED,
    Survived,
    begins_with,
    finished,
    named,
    parameters,
)
from semppl_keras.runs.whole_files import write_whole

# What has to be imported, which is also what to install for it.
_MODULES = {
    "wandb": "wandb",
    "mlflow": "mlflow",
    "tensorboard": "tensorboard.summary.writer.record_writer",
}
# Runs of wandb and of mlflow are called so, by which one goes on; those of wandb as
# WANDB_RUN_ID says, where it is set.
_WANDB_NOTE, _MLFLOW_NOTE = "wandb.id", "mlflow.id"
_LONGEST = 128
_IDENTIFIER = re.compile(rf"[0-9A-Za-z_-]{{1,{_LONGEST}}}")
_WANDB_REMEDY = "wandb login, or set WANDB_MODE=offline"
_MLFLOW_REMEDY = "see MLFLOW_TRACKING_URI"


def check_tracker(name: str | None, kept: Kept) -> None:
    """Raises a `RunError` where what a tracker takes is not installed.

    Args:
        name: One of `TRACKERS`, or None.
        kept: What there is of the training without it.
    """
    if name is None:
        return
    try:
        importlib.import_module(_MODULES[name])
    except ImportError as error:
        raise RunError(
            f"--log {name} needs the package {name}, which cannot be imported "
            f"({error}). Install it (pip install {name}), or leave --log out: "
            f"{kept.all}."
        ) from error


@contextlib.contextmanager
def tracked(
    name: str | None, place: Place, settings: Mapping[str, Any], step: int = 0
) -> Iterator[Tracker]:
    """Within it a training is followed, up to what it is measured to be.

    A run of the tracker that is open already is taken, and left open. One that was
    opened for a training that goes on is opened again. One that was opened here says in
    the end whether all has come to its own, also where it could be opened but not be
    begun with. That a tracker fails later is told once, and ends no training.

    Args:
        name: One of `TRACKERS`, or None for none.
        place: Of the training.
        settings: By which trainings are compared, such as what `run.json` holds.
        step: The step from which the training goes on.

    Yields:
        `Tracker`.

    Raises:
        RunError: The tracker is not installed, or cannot begin a run.
    """
    if name is None:
        yield Tracker()
        return
    check_tracker(name, place.kept)
    with _OPENED[name](place, settings, step) as tracker:
        yield tracker


def forget(place: Place) -> None:
    """Lets the next training there have a run of the tracker of its own."""
    for file in (_WANDB_NOTE, _MLFLOW_NOTE):
        (place.logs / file).unlink(missing_ok=True)


@contextlib.contextmanager
def _wandb(place: Place, settings: Mapping[str, Any], step: int) -> Iterator[Tracker]:
    wandb = importlib.import_module("wandb")
    begins = functools.partial(begins_with, "wandb", _WANDB_REMEDY, place)
    survived = Survived("wandb", place)
    if wandb.run is not None:
        with begins():
            log = _wandb_log(wandb.run, own=False)
        yield told_by(survived(log), survived.figures(_wandb_summary(wandb.run)))
        return
    file = place.logs / _WANDB_NOTE
    # Its files are where its own settings say: there are links among them, which no run
    # folder may hold.
    with begins():
        run = wandb.init(
            project="semppl",
            name=place.title,
            id=_noted(file),
            config=dict(settings),
            resume="allow",
        )
    with finished(survived(lambda status: run.finish(exit_code=status))):
        with begins():
            write_whole(file, run.id)
            log = _wandb_log(run, own=True)
        yield told_by(survived(log), survived.figures(_wandb_summary(run)))


def _wandb_log(run: Any, *, own: bool) -> Callable[[dict[str, float], int], None]:
    """What says an epoch to a run of wandb, by the names of its callback for Keras."""
    run.define_metric("epoch/epoch")
    run.define_metric("epoch/*", step_metric="epoch/epoch")

    def log(values: dict[str, float], epoch: int) -> None:
        named = {f"epoch/{name}": value for name, value in values.items()}
        # Pieces of a training have steps of their own each, if they are not told.
        # Somebody else's run may be at a later step, and takes no earlier ones.
        run.log({**named, "epoch/epoch": epoch}, **({"step": epoch} if own else {}))

    return log


def _wandb_summary(run: Any) -> Callable[[Mapping[str, Figure]], None]:
    """What says the figures of the end to a run of wandb: its summary has them."""

    def conclude(figures: Mapping[str, Figure]) -> None:
        run.summary.update(named(figures))

    return conclude


@contextlib.contextmanager
def _mlflow(place: Place, settings: Mapping[str, Any], step: int) -> Iterator[Tracker]:
    mlflow = importlib.import_module("mlflow")
    errors = importlib.import_module("mlflow.exceptions")
    begins = functools.partial(begins_with, "mlflow", _MLFLOW_REMEDY, place)
    survived = Survived("mlflow", place)

    @survived
    def log(values: dict[str, float], epoch: int) -> None:
        # A server that is slow, or gone, holds up no training.
        mlflow.log_metrics(values, step=epoch, synchronous=False)

    @survived.figures
    def conclude(figures: Mapping[str, Figure]) -> None:
        flat = named(figures)
        texts = {name: value for name, value in flat.items() if isinstance(value, str)}
        mlflow.log_metrics({name: flat[name] for name in flat.keys() - texts.keys()})
        # It takes numbers alone for metrics.
        mlflow.set_tags(texts)

    tracker = told_by(log, conclude)
    if mlflow.active_run() is not None:
        yield tracker
        return
    file = place.logs / _MLFLOW_NOTE
    identifier = _noted(file)
    names = {0: "FINISHED", INTERRUPTED: "KILLED"}
    run = None
    with begins():
        if identifier is not None:
            try:
                run = mlflow.start_run(run_id=identifier)
            except errors.MlflowException as error:
                tell(
                    f"Note: mlflow has no run {identifier} that could go on ({error}): "
                    "this is a new one. It is where MLFLOW_TRACKING_URI was, or the "
                    "folder in which the training was begun."
                )
        goes_on = run is not None
        if run is None:
            run = mlflow.start_run(run_name=place.title)
    with finished(survived(lambda status: mlflow.end_run(names.get(status, "FAILED")))):
        with begins():
            if not goes_on:
                mlflow.log_params(parameters(settings))
                mlflow.log_dict(dict(settings), "run.json")
            write_whole(file, run.info.run_id)
        yield tracker


def _noted(file: pathlib.Path) -> str | None:
    """What a run of a tracker was called when it was opened, None where there was none,
    or the file holds something else."""
    if not file.is_file() or file.stat().st_size > _LONGEST:
        return None
    text = file.read_text(encoding="utf-8", errors="replace").strip()
    return text if _IDENTIFIER.fullmatch(text) else None


_OPENED = dict(zip(TRACKERS, (_wandb, _mlflow, followed_by_tensorboard), strict=True))
