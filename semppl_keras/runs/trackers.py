"""Programs that follow a training, beside what the run folder has of it.

Each is called through the Keras callback that it comes with, and imported only where it
is asked for: `wandb.integration.keras.WandbMetricsLogger` (docs.wandb.ai, "Keras
callbacks"), `mlflow.keras.MlflowCallback` (mlflow.org, "mlflow.keras.callback") and
`keras.callbacks.TensorBoard`.
"""

import contextlib
import importlib
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import keras

from semppl_keras.runs.errors import RunError
from semppl_keras.runs.options.train import TRACKERS
from semppl_keras.runs.whole_files import write_whole

# What has to be imported, and what to install for it.
_MODULES = {
    "wandb": ("wandb.integration.keras", "wandb"),
    "mlflow": ("mlflow.keras", "mlflow"),
    "tensorboard": ("tensorflow.summary", "tensorflow"),
}
# Runs of wandb and of mlflow are called so, by which one goes on.
_IDENTIFIER = re.compile(r"[0-9A-Za-z]{4,64}")


def check_tracker(name: str | None) -> None:
    """Raises a `RunError` where what a tracker takes is not installed.

    Args:
        name: One of `TRACKERS`, or None.
    """
    if name is None:
        return
    module, package = _MODULES[name]
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise RunError(
            f"--log {name} needs the package {package}, which cannot be imported "
            f"({error}). Install it (pip install {package}), or leave --log out: the "
            "run folder has the logs of every training."
        ) from error


@contextlib.contextmanager
def tracked(
    name: str | None, folder: pathlib.Path, settings: Mapping[str, Any], step: int = 0
) -> Iterator[list[keras.callbacks.Callback]]:
    """Within it a training is followed.

    A run of the tracker that is open already is taken, and left open. One that was
    opened for a training that goes on is opened again.

    Args:
        name: One of `TRACKERS`, or None for none.
        folder: `pathlib.Path` of the run, after which that of the tracker is named.
        settings: What `run.json` holds.
        step: The step from which the training goes on.

    Yields:
        Callbacks for `fit`.
    """
    if name is None:
        yield []
        return
    check_tracker(name)
    with _OPENED[name](folder, settings, step) as callback:
        yield [callback]


@contextlib.contextmanager
def _wandb(
    folder: pathlib.Path, settings: Mapping[str, Any], step: int
) -> Iterator[keras.callbacks.Callback]:
    wandb = importlib.import_module("wandb")
    logger = importlib.import_module("wandb.integration.keras").WandbMetricsLogger
    own = None
    if wandb.run is None:
        file = folder / "logs" / "wandb.id"
        identifier = _noted(file) or wandb.util.generate_id()
        own = wandb.init(
            project="semppl",
            name=folder.name,
            id=identifier,
            dir=str(folder / "logs"),
            config=dict(settings),
            resume="allow",
        )
        write_whole(file, identifier)
    try:
        yield logger(initial_global_step=step)
    finally:
        if own is not None:
            own.finish()


@contextlib.contextmanager
def _mlflow(
    folder: pathlib.Path, settings: Mapping[str, Any], step: int
) -> Iterator[keras.callbacks.Callback]:
    mlflow = importlib.import_module("mlflow")
    callback = importlib.import_module("mlflow.keras").MlflowCallback
    if mlflow.active_run() is not None:
        yield callback()
        return
    file = folder / "logs" / "mlflow.id"
    identifier = _noted(file)
    with mlflow.start_run(run_id=identifier, run_name=folder.name) as run:
        write_whole(file, run.info.run_id)
        if identifier is None:
            mlflow.log_dict(dict(settings), "run.json")
        yield callback()


@contextlib.contextmanager
def _tensorboard(
    folder: pathlib.Path, settings: Mapping[str, Any], step: int
) -> Iterator[keras.callbacks.Callback]:
    # Epochs are in `logs` as they are; these are steps, which it counts from 0 wherever
    # a training goes on.
    yield keras.callbacks.TensorBoard(
        str(folder / "logs" / f"steps_from_{step}"),
        write_graph=False,
        update_freq="batch",
    )


def _noted(file: pathlib.Path) -> str | None:
    """What a run of a tracker was called when it was opened, None where there was none,
    or the file holds something else."""
    if not file.is_file() or file.stat().st_size > 64:
        return None
    text = file.read_text(encoding="utf-8", errors="replace").strip()
    return text if _IDENTIFIER.fullmatch(text) else None


_OPENED = dict(zip(TRACKERS, (_wandb, _mlflow, _tensorboard), strict=True))
